// Stands in for node-llama-cpp: a model that counts. After token n comes n + 1; 9 ends a text, 7 is a newline.
// Of the log-probabilities, token t has the logit t.

const VOCABULARY = 10;

class Sequence {
    contextTokens = [];
    tokenPredictions = {validated: 0, refuted: 0};

    get nextTokenIndex() {
        return this.contextTokens.length;
    }

    async eraseContextTokenRanges(ranges) {
        this.contextTokens = this.contextTokens.filter(
            (_, index) => !ranges.some(({start, end}) => start <= index && index < end)
        );
    }

    async *evaluate(tokens) {
        let pending = tokens;
        while (true) {
            this.contextTokens.push(...pending);
            const next = (this.contextTokens.at(-1) + 1) % VOCABULARY;
            yield next;
            pending = [next];
        }
    }

    async controlledEvaluate(input) {
        return input.map((item) => {
            const [token, options] = Array.isArray(item) ? item : [item, null];
            this.contextTokens.push(token);
            if (options == null)
                return undefined;
            const best = VOCABULARY - 1;
            const logits = new Map([...options.generateNext.logits.filter.tokens, best].map((id) => [id, id]));
            const ids = [...Array(VOCABULARY).keys()];
            return {next: {logits, totalLogitWeight: ids.reduce((sum, id) => sum + Math.exp(id - best), 0)}};
        });
    }

    async dispose() {}
}

export class InputLookupTokenPredictor {
    updateInputTokens() {}
}

export const LlamaLogLevel = {error: "error"};

export async function getLlama() {
    const context = {contextSize: 64, batchSize: 8, idealThreads: 1, getSequence: () => new Sequence()};
    const model = {
        createContext: async () => context,
        detokenize: (tokens) => tokens.map((token) => (token === 7 ? "\n" : String(token))).join(""),
        isEogToken: (token) => token === 9,
        dispose: async () => {},
    };
    return {systemInfo: "fake", loadModel: async () => model, dispose: async () => {}};
}
