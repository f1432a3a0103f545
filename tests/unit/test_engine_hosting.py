"""What an engine does unasked while editors are there."""

import asyncio
import logging

from lsp_server.engine.hosting import OUTDATED, Hosting


class Silent:
    """Serves an editor until its task is cancelled."""

    async def run(self, reader, sender):
        await asyncio.Event().wait()

    def facts(self):
        return {}

    def close(self):
        pass


class Writer:
    """Takes everything."""

    def write(self, data):
        pass

    def close(self):
        pass

    async def drain(self):
        pass

    async def wait_closed(self):
        pass


def test_editors_that_are_there_are_told_once_that_the_settings_file_changed(caplog):
    caplog.set_level(logging.WARNING, "lsp_server")
    answers = iter([False, False, False, True, True, True])
    looked = asyncio.Event()

    def is_outdated():
        answer = next(answers, None)
        if answer is None:
            looked.set()
        return answer is not False

    async def run():
        hosting = Hosting(Silent(), version="1", idle_s=60, is_outdated=is_outdated, look_s=0.001)
        serving = asyncio.create_task(hosting._serve_editor(asyncio.StreamReader(), Writer()))
        await asyncio.wait_for(looked.wait(), 20)
        assert [record.getMessage() for record in caplog.records] == [OUTDATED]
        assert not serving.done()
        hosting.stopping.set()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await hosting.close()

    asyncio.run(run())
