// The engines that compare.mjs measures, as the page sees them: each lives in a frame of its own, with its own runtime.
//
// An engine is opened for a row and a variant of its ONNX file, and gives a function that runs the model once: from
// inputs in the page's memory to outputs in the page's memory. The same loop with the same clock times all of them.

const VARIANTS = ['eager', 'sdpa', 'fused'];
const ORT = '/npm/onnxruntime-web/dist';
// The build that a bundler picks for `import 'onnxruntime-web/webgpu'`; that of jspi must be asked for by name.
const WEBGPU = `${ORT}/ort.webgpu.bundle.min.mjs`;
const JSPI = `${ORT}/ort.jspi.bundle.min.mjs`;

/** Variants, and how one is opened: `open(row, variant, inputs)` gives `{name, run}`. */
export const engines = {
  'proofmark-webgpu': { variants: [''], open: proofmark('webgpu') },
  'ort-webgpu': { variants: VARIANTS, open: ort(WEBGPU, { name: 'webgpu' }) },
  'ort-webgpu-jspi': { variants: VARIANTS, open: ort(JSPI, { name: 'webgpu' }) },
  'transformers-webgpu': { variants: VARIANTS, open: transformers },
  'proofmark-webnn': { variants: [''], open: proofmark('webnn') },
  'ort-webnn': { variants: VARIANTS, open: ort(WEBGPU, { name: 'webnn', deviceType: 'cpu' }) },
  'ort-wasm-1': { variants: VARIANTS, open: ort(`${ORT}/ort.wasm.bundle.min.mjs`, { name: 'wasm' }, 1) },
  'ort-wasm-2': { variants: VARIANTS, open: ort(`${ORT}/ort.wasm.bundle.min.mjs`, { name: 'wasm' }, 2) },
};

async function fetched(path) {
  const response = await fetch(path, { cache: 'no-store' });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response;
}

const bytesOf = async (path) => new Uint8Array(await (await fetched(path)).arrayBuffer());
const jsonOf = async (path) => (await fetched(path)).json();

/** ONNX Runtime with one execution provider; what that one cannot do goes to WebAssembly, which the notes tell. */
function ort(url, provider, threads) {
  return async (row, variant, inputs) => {
    const ort = await import(url);
    if (threads) ort.env.wasm.numThreads = threads;
    const options = { executionProviders: [provider], graphOptimizationLevel: 'all', logSeverityLevel: 1 };
    if (provider.name === 'wasm') delete options.logSeverityLevel;
    ort.env.logLevel = options.logSeverityLevel ? 'info' : 'warning';
    const session = await ort.InferenceSession.create(await bytesOf(`/rows/${row}/${variant}/model.onnx`), options);
    const tensors = inputs.map(({ name, type, data, shape }) => [name, new ort.Tensor(type, data, shape)]);
    const feeds = Object.fromEntries(tensors.filter(([name]) => session.inputNames.includes(name)));
    const run = async () => (await session.run(feeds))[session.outputNames[0]].data;
    return { name: `onnxruntime-web ${ort.env.versions.web}`, run };
  };
}

/** The forward of transformers.js on ready tensors: no tokenizer, no image processor, no post-processing. */
async function transformers(row, variant, inputs) {
  const { AutoModel, Tensor, env } = await import('/npm/@huggingface/transformers/dist/transformers.web.min.js');
  Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: '/models/' });
  Object.assign(env, { useBrowserCache: false, useWasmCache: false });
  env.backends.onnx.wasm.wasmPaths = new URL('.', import.meta.resolve('onnxruntime-web/webgpu')).href;
  const model = await AutoModel.from_pretrained(`${row}/${variant}`, { device: 'webgpu', dtype: 'fp32' });
  const tensors = inputs.map(({ name, type, data, shape }) => [name, new Tensor(type, data, shape)]);
  const run = async () => Object.values(await model(Object.fromEntries(tensors)))[0].data;
  return { name: `transformers.js ${env.version} on ${env.backends.onnx.versions?.web}`, run };
}

/** Our page's own module; model-tests/examples/export.rs wrote what the program of a case would send it. */
function proofmark(api) {
  return async () => {
    const module = await import(`/page/${api}.js`);
    const { open, prepare, inputs } = await jsonOf(`ours/${api}/headers.json`);
    await module.open({ header: open, parts: [] });
    const parameters = await bytesOf(`ours/${api}/parameters.bin`);
    await module.prepare({ header: { program: api, ...prepare }, parts: [parameters] });
    const names = Array.from({ length: inputs }, (_, i) => `ours/${api}/input-${i}.bin`);
    const parts = await Promise.all(names.map(bytesOf));
    const run = async () => {
      const [{ buffer, byteOffset, byteLength }] = (await module.run({ header: { program: api }, parts })).parts;
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    };
    return { name: 'proofmark', run };
  };
}

/** Tensors of a safetensors file whose names begin so, with data as JavaScript has it. */
async function tensors(path, prefix) {
  const bytes = await bytesOf(path);
  const size = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)));
  const kinds = { F32: ['float32', Float32Array], F64: ['float64', Float64Array], I64: ['int64', BigInt64Array] };
  return Object.entries(header)
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, { dtype, shape, data_offsets: [begin, end] }]) => {
      const [type, Kind] = kinds[dtype];
      const data = new Kind(bytes.slice(8 + size + begin, 8 + size + end).buffer);
      return { name: name.slice(prefix.length), type, shape, data };
    });
}

/** What this frame's engine said and which adapters it was given. */
const notes = new Set();
for (const level of ['log', 'info', 'warn', 'error', 'debug']) {
  console[level] = (...words) => {
    const text = words.map(String).join(' ');
    if (/number of nodes|not assigned|fallback|falling back|error/i.test(text)) notes.add(text.slice(0, 300));
  };
}

/** Everyone gets the adapter that is asked for first: the one that the browser prefers for work. */
const adapters = new Set();
if (navigator.gpu) {
  const ask = navigator.gpu.requestAdapter.bind(navigator.gpu);
  navigator.gpu.requestAdapter = async (options) => {
    const adapter = await ask({ ...options, powerPreference: 'high-performance' });
    const { vendor, architecture, device, description } = adapter?.info ?? {};
    adapters.add([vendor, architecture, device, description].filter(Boolean).join(' ') || 'no name');
    return adapter;
  };
}

let run;

/** Opens this frame's engine, runs it once and compares the output with the reference in f64. */
export async function open({ engine, row, variant, output }) {
  const inputs = await tensors(`/rows/${row}/golden.safetensors`, 'input.');
  const [{ data: expected }] = await tensors(`/rows/${row}/golden.safetensors`, `output.${output}`);
  const begin = performance.now();
  const opened = await engines[engine].open(row, variant, inputs);
  const open_ms = performance.now() - begin;
  run = opened.run;
  const found = await run();
  const first_ms = performance.now() - begin - open_ms;
  if (found.length !== expected.length) {
    throw new Error(`its output has ${found.length} elements, ${expected.length} are expected`);
  }
  let [error, largest] = [0, 0];
  expected.forEach((value, i) => {
    const off = Math.abs(found[i] - value);
    // A value that is no number is an error without bounds.
    error = off <= error ? error : Number.isNaN(off) ? Infinity : off;
    largest = Math.max(largest, Math.abs(value));
  });
  return { name: opened.name, open_ms, first_ms, error, largest, adapters: [...adapters], notes: [...notes] };
}

/** One run that is not counted; then the mean of so many runs in milliseconds. */
export async function time({ count }) {
  await run();
  const begin = performance.now();
  for (let i = 0; i < count; i += 1) await run();
  return (performance.now() - begin) / count;
}
