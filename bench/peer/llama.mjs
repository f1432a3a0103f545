// llama.cpp as the benches' peer: one JSON object a line in, one out; `llama.py` is its only caller.
//
//     node llama.mjs FOLDER     FOLDER is where node-llama-cpp was installed
//
// A request is {"method": ..., "params": {...}}, its answer {"result": ...} or {"error": "..."}. All prompts are
// token ids, so that this peer reads the very tokens that it is compared on. Nothing but answers is written to
// standard output; what llama.cpp has to say goes to standard error.

import path from "node:path";
import process from "node:process";
import readline from "node:readline";
import {pathToFileURL} from "node:url";

const folder = path.resolve(process.argv[2], "node_modules", "node-llama-cpp", "dist", "index.js");
const {getLlama, InputLookupTokenPredictor, LlamaLogLevel} = await import(pathToFileURL(folder).href);

let llama;
let model;
let context;
let sequence;
let predictor = null;

const methods = {load, complete, score, reset, stats};

async function load({path: modelPath, threads, context_tokens, batch_tokens, predictor: use_predictor}) {
    const started = performance.now();
    llama = await getLlama({
        gpu: false,
        build: "never",
        maxThreads: threads,
        logLevel: LlamaLogLevel.error,
        progressLogs: false,
        logger: (level, message) => process.stderr.write(`${level}: ${message}\n`),
    });
    model = await llama.loadModel({modelPath, gpuLayers: 0});
    context = await model.createContext({
        contextSize: context_tokens,
        batchSize: batch_tokens,
        threads: {ideal: threads, min: threads},
    });
    openSequence(use_predictor);
    return {
        load_ms: performance.now() - started,
        pid: process.pid,
        threads: context.idealThreads,
        context_tokens: context.contextSize,
        batch_tokens: context.batchSize,
        system: llama.systemInfo,
    };
}

function openSequence(use_predictor) {
    predictor = use_predictor ? new InputLookupTokenPredictor() : null;
    sequence = context.getSequence(predictor == null ? {} : {tokenPredictor: predictor});
}

// Forgets all that was read; the token predictor can be had or left out from here on.
async function reset({predictor: use_predictor = predictor != null}) {
    await sequence.dispose();
    openSequence(use_predictor);
    return {};
}

// Completes greedily. What the last calls left in the cache and this prompt begins with is not computed again.
async function complete({token_ids, n_predict, stop_text, stop_ids, cache_reuse}) {
    const started = performance.now();
    const n_reused = await reuse(token_ids.slice(0, -1), cache_reuse);
    const pending = token_ids.slice(n_reused);
    predictor?.updateInputTokens(token_ids);
    const tokens = [];
    const stops = new Set(stop_ids);
    let text = "";
    let first_token_ms = null;
    let stop = "end";
    const before = sequence.tokenPredictions;
    for await (const token of sequence.evaluate(pending, {temperature: 0, yieldEogToken: true})) {
        first_token_ms ??= performance.now() - started;
        if (model.isEogToken(token) || stops.has(token))
            break;
        tokens.push(token);
        text = model.detokenize(tokens);
        if (stop_text !== "" && text.includes(stop_text)) {
            stop = "text";
            break;
        }
        if (tokens.length >= n_predict) {
            stop = "length";
            break;
        }
    }
    const total_ms = performance.now() - started;
    const after = sequence.tokenPredictions;
    return {
        tokens,
        text,
        stop,
        reused_tokens: n_reused,
        prefill_tokens: pending.length,
        prefill_ms: first_token_ms,
        decode_ms: total_ms - first_token_ms,
        first_token_ms,
        total_ms,
        drafts_accepted: after.validated - before.validated,
        drafts_refused: after.refuted - before.refuted,
    };
}

// Scores a continuation: before each token of `path`, the logarithms of the probabilities of the `wanted` tokens.
async function score({token_ids, path: continuation, wanted}) {
    const all = [...token_ids, ...continuation.slice(0, -1)];
    const n_reused = await reuse(token_ids.slice(0, -1), 0);
    const first = token_ids.length - 1 - n_reused;
    const input = all.slice(n_reused).map((token, index) => {
        if (index < first)
            return token;
        const filter = {tokens: wanted[index - first], includeTop: 1};
        return [token, {generateNext: {logits: {filter}, totalLogitWeight: true, options: {temperature: 0}}}];
    });
    const outputs = await sequence.controlledEvaluate(input);
    const log_probabilities = wanted.map((tokens, index) => {
        const {logits: found, totalLogitWeight} = outputs[first + index].next;
        const logarithm = Math.max(...found.values()) + Math.log(totalLogitWeight);
        return tokens.map((token) => found.get(token) - logarithm);
    });
    return {reused_tokens: n_reused, log_probabilities};
}

// Makes the cache a beginning of `token_ids` (with cache_reuse = 0 exactly so), and returns its length.
async function reuse(token_ids, cache_reuse) {
    if (sequence.nextTokenIndex === 0)
        return 0;
    const ranges = discarded(sequence.contextTokens, token_ids, cache_reuse);
    ranges.at(-1).end = sequence.nextTokenIndex; // drafts that nobody took lie past the tokens
    await sequence.eraseContextTokenRanges(ranges.filter(({start, end}) => start < end));
    return sequence.nextTokenIndex;
}

// What to discard of a cache, the last range up to its end. With `cache_reuse`, runs of at least so many tokens
// that the prompt has too, farther on, are kept and moved to their new positions, although they were computed
// after other tokens: llama-server's --cache-reuse.
function discarded(cached, wanted, cache_reuse) {
    let n = 0;
    while (n < cached.length && n < wanted.length && cached[n] === wanted[n])
        n++;
    const ranges = [];
    let start = n;
    let at = n;
    while (cache_reuse > 0 && at < cached.length && n < wanted.length) {
        let length = 0;
        while (at + length < cached.length && n + length < wanted.length
            && cached[at + length] === wanted[n + length])
            length++;
        if (length >= cache_reuse) {
            ranges.push({start, end: at});
            at += length;
            n += length;
            start = at;
        } else
            at++;
    }
    return [...ranges, {start, end: cached.length}];
}

async function stats() {
    return {pid: process.pid, cached_tokens: sequence.nextTokenIndex, rss_bytes: process.memoryUsage.rss()};
}

for await (const line of readline.createInterface({input: process.stdin, crlfDelay: Infinity})) {
    let answer;
    try {
        const {method, params} = JSON.parse(line);
        if (!Object.hasOwn(methods, method))
            throw new Error(`there is no method ${method}`);
        answer = {result: await methods[method](params ?? {})};
    } catch (error) {
        answer = {error: String(error?.message ?? error)};
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
}
await model?.dispose();
await llama?.dispose();
