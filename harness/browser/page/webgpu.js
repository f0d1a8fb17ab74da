// WebGPU: runs plans of buffers and dispatches. What is planned, and every kernel, comes from the other side.

import { describe } from './channel.js';
import { heap } from './facts.js';
import { fetchAll } from './weights.js';

/**
 * @typedef {import('./channel.js').Message} Message
 * @typedef {{buffer: number, bytes: number}} Port
 * @typedef {{
 *   parameter_block: number,
 *   shaders: {text: string, writes: boolean[]}[],
 *   buffers: {bytes: number, content: boolean}[],
 *   inputs: Port[],
 *   outputs: Port[],
 *   status: Port | null,
 *   dispatches: {shader: number, bindings: number[], workgroups: [number, number]}[],
 * }} Plan
 * @typedef {{
 *   plan: Plan,
 *   buffers: GPUBuffer[],
 *   parameters: GPUBuffer,
 *   pipelines: GPUComputePipeline[],
 *   groups: GPUBindGroup[],
 *   reads: {buffer: number, start: number, bytes: number}[],
 *   readback: GPUBuffer,
 *   inputs: Uint8Array<ArrayBuffer>[],
 * }} Program
 */

/** Copies end at multiples of this, and so do the parts of the buffer that is read back. */
const COPY_ALIGNMENT = 8;
/** Reading four bytes back takes longer than this only where a browser looks for results at intervals. */
const INTERVAL_MS = 40;

/** @type {GPUDevice | undefined} */
let device;
/** @type {string | undefined} */
let lost;
/** @type {string | undefined} */
let uncaptured;
/** Whether results come sooner when the queue is asked for them again and again. */
let nudged = false;
/** @type {Map<number, Program>} */
const programs = new Map();
/** Pipelines by text and access: a page that runs several graphs compiles a kernel once. @type {Map<string, GPUComputePipeline>} */
const compiled = new Map();

/**
 * Opens the adapter that the browser prefers for work, with all its limits and the features that plans use.
 *
 * @param {Message} message
 */
export async function open({ header }) {
  if (!navigator.gpu) throw new Error('this browser has no navigator.gpu');
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('requestAdapter() gave no adapter');
  const { info } = adapter;
  /** @type {GPUFeatureName[]} */
  const wanted = header.features;
  const requiredFeatures = wanted.filter((name) => adapter.features.has(name));
  /** @type {Record<string, number>} */
  const limits = {};
  for (const name in adapter.limits) {
    const value = /** @type {any} */ (adapter.limits)[name];
    if (typeof value === 'number') limits[name] = value;
  }
  const requiredLimits = Object.fromEntries(
    /** @type {string[]} */ (header.limits).filter((name) => name in limits).map((name) => [name, limits[name]]),
  );
  device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  device.lost.then(({ reason, message }) => {
    lost = `the device is lost (${reason}): ${message}`;
  });
  device.onuncapturederror = ({ error }) => {
    uncaptured ??= error.message;
  };
  const nudge = await tryNudging(device);
  nudged = nudge.nudged;
  return {
    header: {
      nudge,
      info: {
        vendor: info?.vendor ?? '',
        architecture: info?.architecture ?? '',
        device: info?.device ?? '',
        description: info?.description ?? '',
      },
      // It moved from the adapter to its info; older browsers have it on the adapter.
      fallback: info?.isFallbackAdapter ?? /** @type {any} */ (adapter).isFallbackAdapter ?? null,
      subgroups: [info?.subgroupMinSize ?? null, info?.subgroupMaxSize ?? null],
      features: [...adapter.features].sort(),
      opened: requiredFeatures,
      limits,
    },
  };
}

/**
 * Some browsers look for finished work at fixed intervals only (Firefox 153: every 100 ms), and also whenever something
 * is submitted. Measures what it takes to read four bytes back, left alone and nudged, and so decides.
 *
 * @param {GPUDevice} gpu
 */
async function tryNudging(gpu) {
  const buffer = gpu.createBuffer({ size: 4, usage: GPUBufferUsage.COPY_SRC });
  const read = gpu.createBuffer({
    size: 4,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const one = async (/** @type {boolean} */ nudging) => {
    const begin = performance.now();
    const encoder = gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, read, 0, 4);
    gpu.queue.submit([encoder.finish()]);
    await arrival(gpu, read.mapAsync(GPUMapMode.READ), nudging);
    read.unmap();
    return performance.now() - begin;
  };
  await one(true);
  const nudged_ms = Math.min(await one(true), await one(true));
  // One that is left alone may end just before the next interval: the longest of them tells, and one is enough.
  let alone_ms = 0;
  for (let tries = 0; tries < 3 && alone_ms <= INTERVAL_MS; tries += 1) {
    alone_ms = Math.max(alone_ms, await one(false));
  }
  buffer.destroy();
  read.destroy();
  return { nudged: alone_ms > INTERVAL_MS && nudged_ms < alone_ms / 2, nudged_ms, alone_ms };
}

/**
 * Waits for something that the queue does.
 *
 * @param {GPUDevice} gpu
 * @param {Promise<undefined>} done
 * @param {boolean} [nudging]
 */
async function arrival(gpu, done, nudging = nudged) {
  if (nudging) {
    let waiting = true;
    const end = () => {
      waiting = false;
    };
    done.then(end, end);
    while (waiting) {
      gpu.queue.submit([]);
      await turn();
    }
  }
  await done;
}

const turns = new MessageChannel();

/** Lets the browser do what else there is to do, without the delay that timers have. */
function turn() {
  return new Promise((resolve) => {
    turns.port1.onmessage = resolve;
    turns.port2.postMessage(null);
  });
}

/** The open device; an error if there is none any more. */
function opened() {
  if (lost) throw new Error(lost);
  if (!device) throw new Error('no device is open');
  return device;
}

/**
 * Does `work` and turns what the browser reports meanwhile into an error.
 *
 * @template T
 * @param {(device: GPUDevice) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function guarded(work) {
  const gpu = opened();
  const filters = /** @type {GPUErrorFilter[]} */ (['validation', 'out-of-memory', 'internal']);
  filters.forEach((filter) => gpu.pushErrorScope(filter));
  /** @type {T | undefined} */
  let result;
  /** @type {unknown} */
  let thrown;
  try {
    result = await work(gpu);
  } catch (error) {
    thrown = error;
  }
  const reports = await Promise.all(filters.map(() => gpu.popErrorScope())).catch(() => []);
  const reported = reports.find((error) => error)?.message ?? uncaptured;
  uncaptured = undefined;
  if (lost ?? reported) throw new Error(lost ?? reported);
  if (thrown) throw thrown;
  return /** @type {T} */ (result);
}

/**
 * Makes buffers and pipelines, and fetches and uploads the weights meanwhile.
 *
 * @param {Message} message
 */
export async function prepare({ header, parts }) {
  /** @type {Plan} */
  const plan = header.plan;
  const begin = performance.now();
  /** @type {Record<string, number>} */
  const stages = {};
  const program = await guarded(async (gpu) => {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    const buffers = plan.buffers.map(({ bytes }) => gpu.createBuffer({ size: bytes, usage }));
    const parameters = gpu.createBuffer({
      size: parts[0].byteLength,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    gpu.queue.writeBuffer(parameters, 0, parts[0]);
    const weights = fetchAll(
      header.program,
      plan.buffers.flatMap(({ bytes, content }, index) => (content ? [{ index, bytes }] : [])),
      (index, start, bytes) => gpu.queue.writeBuffer(buffers[index], start, bytes),
    ).then((times) => Object.assign(stages, times));
    const pipelines = compile(gpu, plan, header.parallel !== false).then((made) => {
      stages.compile_ms = performance.now() - begin;
      return made;
    });
    const [made] = await Promise.all([pipelines, weights]);
    const groups = plan.dispatches.map((dispatch, index) =>
      gpu.createBindGroup({
        layout: made[dispatch.shader].getBindGroupLayout(0),
        entries: [
          {
            binding: 0,
            resource: {
              buffer: parameters,
              offset: index * plan.parameter_block,
              size: plan.parameter_block,
            },
          },
          ...dispatch.bindings.map((buffer, i) => ({
            binding: i + 1,
            resource: { buffer: buffers[buffer] },
          })),
        ],
      }),
    );
    let start = 0;
    const ports = plan.status ? [...plan.outputs, plan.status] : plan.outputs;
    const reads = ports.map(({ buffer, bytes }) => {
      const read = { buffer, start, bytes };
      start += Math.ceil(bytes / COPY_ALIGNMENT) * COPY_ALIGNMENT;
      return read;
    });
    const readback = gpu.createBuffer({
      size: start,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    await arrival(gpu, gpu.queue.onSubmittedWorkDone());
    return { plan, buffers, parameters, pipelines: made, groups, reads, readback, inputs: [] };
  });
  programs.set(header.program, program);
  stages.prepare_ms = performance.now() - begin;
  return { header: { stages, heap_bytes: heap() } };
}

/**
 * The pipelines of a plan: all at once, or one after the other, which shows what being asynchronous is worth.
 *
 * @param {GPUDevice} gpu
 * @param {Plan} plan
 * @param {boolean} parallel
 * @returns {Promise<GPUComputePipeline[]>}
 */
async function compile(gpu, plan, parallel) {
  const one = async (/** @type {Plan['shaders'][number]} */ shader) => {
    const key = JSON.stringify([shader.text, shader.writes]);
    const known = compiled.get(key);
    if (known) return known;
    const module = gpu.createShaderModule({ code: shader.text });
    const layout = gpu.createBindGroupLayout({
      entries: [
        {
          binding: 0,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: 'uniform', minBindingSize: plan.parameter_block },
        },
        ...shader.writes.map((writes, i) => ({
          binding: i + 1,
          visibility: GPUShaderStage.COMPUTE,
          buffer: /** @type {GPUBufferBindingLayout} */ ({
            type: writes ? 'storage' : 'read-only-storage',
            minBindingSize: 4,
          }),
        })),
      ],
    });
    const descriptor = {
      layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    };
    try {
      const pipeline = await gpu.createComputePipelineAsync(descriptor);
      compiled.set(key, pipeline);
      return pipeline;
    } catch (error) {
      throw new Error(await complaints(module, shader.text, error));
    }
  };
  if (parallel) return Promise.all(plan.shaders.map(one));
  const made = [];
  for (const shader of plan.shaders) made.push(await one(shader));
  return made;
}

/**
 * What the browser says of texts that it only reads, without a pipeline of them.
 *
 * @param {Message} message
 */
export async function check({ header }) {
  /** @type {string[]} */
  const texts = header.texts;
  const gpu = opened();
  const faults = await Promise.all(
    texts.map(async (text) => {
      gpu.pushErrorScope('validation');
      const module = gpu.createShaderModule({ code: text });
      const error = await gpu.popErrorScope();
      return error ? complaints(module, text, error) : null;
    }),
  );
  uncaptured = undefined;
  return { header: { faults } };
}

/**
 * What compiling takes, and nothing else: all at once, or one after the other. Pipelines that the page has are not
 * used; what the browser keeps of earlier ones is the browser's affair.
 *
 * @param {Message} message
 */
export async function compileOnly({ header }) {
  /** @type {Plan} */
  const plan = header.plan;
  compiled.clear();
  /** @type {number[]} */
  const each_ms = [];
  const begin = performance.now();
  await guarded(async (gpu) => {
    if (header.parallel) return compile(gpu, plan, true);
    for (const shader of plan.shaders) {
      const start = performance.now();
      await compile(gpu, { ...plan, shaders: [shader] }, false);
      each_ms.push(performance.now() - start);
    }
    return [];
  });
  return { header: { whole_ms: performance.now() - begin, each_ms } };
}

/**
 * What the browser's compiler says of a text, with the line that it means.
 *
 * @param {GPUShaderModule} module
 * @param {string} text
 * @param {unknown} error
 */
async function complaints(module, text, error) {
  const { messages } = await module.getCompilationInfo();
  const lines = text.split('\n');
  const said = messages.map(
    ({ type, lineNum, linePos, message }) =>
      `${type} at ${lineNum}:${linePos}: ${message}\n  ${lines[lineNum - 1] ?? ''}`,
  );
  return [`a shader does not compile: ${describe(error)}`, ...said].join('\n');
}

/** @param {number} id */
function prepared(id) {
  const program = programs.get(id);
  if (!program) throw new Error(`no program ${id} is prepared`);
  return program;
}

/**
 * Runs a program once and gives its outputs back.
 *
 * @param {Message} message
 */
export async function run({ header, parts }) {
  const program = prepared(header.program);
  program.inputs = parts;
  const begin = performance.now();
  const { bytes, dispatch_ms, wait_ms, read_ms } = await guarded((gpu) => once(gpu, program));
  const elapsed_ms = performance.now() - begin;
  const outputs = program.reads.map((read) => bytes.subarray(read.start, read.start + read.bytes));
  return { header: { elapsed_ms, dispatch_ms, wait_ms, read_ms }, parts: outputs };
}

/**
 * From the inputs in the page's memory to the outputs in the page's memory.
 *
 * @param {GPUDevice} gpu
 * @param {Program} program
 * @param {(encoder: GPUCommandEncoder) => void} [record] records the dispatches; one pass if it is left out
 */
async function once(gpu, program, record = (encoder) => onePass(encoder, program)) {
  const { plan, buffers, reads, readback } = program;
  const begin = performance.now();
  plan.inputs.forEach(({ buffer }, i) => gpu.queue.writeBuffer(buffers[buffer], 0, program.inputs[i]));
  const encoder = gpu.createCommandEncoder();
  if (plan.status) encoder.clearBuffer(buffers[plan.status.buffer]);
  record(encoder);
  for (const { buffer, start, bytes } of reads) {
    encoder.copyBufferToBuffer(buffers[buffer], 0, readback, start, bytes);
  }
  gpu.queue.submit([encoder.finish()]);
  const submitted = performance.now();
  await arrival(gpu, readback.mapAsync(GPUMapMode.READ));
  const arrived = performance.now();
  const bytes = new Uint8Array(readback.getMappedRange().slice(0));
  readback.unmap();
  const end = performance.now();
  return { bytes, dispatch_ms: submitted - begin, wait_ms: arrived - submitted, read_ms: end - arrived };
}

/**
 * @param {GPUCommandEncoder} encoder
 * @param {Program} program
 */
function onePass(encoder, program) {
  const pass = encoder.beginComputePass();
  program.plan.dispatches.forEach((_, index) => dispatch(pass, program, index));
  pass.end();
}

/**
 * @param {GPUComputePassEncoder} pass
 * @param {Program} program
 * @param {number} index
 */
function dispatch(pass, program, index) {
  const { shader, workgroups } = program.plan.dispatches[index];
  pass.setPipeline(program.pipelines[shader]);
  pass.setBindGroup(0, program.groups[index]);
  pass.dispatchWorkgroups(workgroups[0], workgroups[1]);
}

/**
 * Runs a program several times: one reading of the clock before and one behind. Without error scopes, because leaving
 * them took Firefox up to 135 ms, which no reading here would show; {@link settle} tells what went wrong.
 *
 * @param {Message} message
 */
export async function times({ header, parts }) {
  const program = prepared(header.program);
  program.inputs = parts;
  const sums = { dispatch_ms: 0, wait_ms: 0, read_ms: 0 };
  const gpu = opened();
  const begin = performance.now();
  for (let i = 0; i < header.count; i += 1) {
    const { dispatch_ms, wait_ms, read_ms } = await once(gpu, program);
    sums.dispatch_ms += dispatch_ms;
    sums.wait_ms += wait_ms;
    sums.read_ms += read_ms;
  }
  return { header: { elapsed_ms: performance.now() - begin, ...sums } };
}

/** Waits until the browser has reported whatever went wrong before; it is the error of this command. */
export async function settle() {
  await guarded(async () => {});
  return { header: {} };
}

/**
 * Runs a program once with every dispatch in a pass of its own between timestamps; empty where there are none.
 *
 * @param {Message} message
 */
export async function ops({ header, parts }) {
  const program = prepared(header.program);
  program.inputs = parts;
  const count = program.plan.dispatches.length;
  const gpu = opened();
  if (!gpu.features.has('timestamp-query') || count === 0) return { header: { times_ns: [] } };
  // A set holds at most 4096 queries.
  const span = 2048;
  const sets = Array.from({ length: Math.ceil(count / span) }, (_, i) =>
    gpu.createQuerySet({ type: 'timestamp', count: 2 * Math.min(span, count - i * span) }),
  );
  const usage = GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC;
  const resolved = gpu.createBuffer({ size: 16 * span * sets.length, usage });
  const read = gpu.createBuffer({
    size: resolved.size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const times_ns = await guarded(async () => {
    await once(gpu, program, (encoder) => {
      for (let index = 0; index < count; index += 1) {
        const at = 2 * (index % span);
        const pass = encoder.beginComputePass({
          timestampWrites: {
            querySet: sets[Math.floor(index / span)],
            beginningOfPassWriteIndex: at,
            endOfPassWriteIndex: at + 1,
          },
        });
        dispatch(pass, program, index);
        pass.end();
      }
      sets.forEach((set, i) => encoder.resolveQuerySet(set, 0, set.count, resolved, 16 * span * i));
      encoder.copyBufferToBuffer(resolved, 0, read, 0, read.size);
    });
    await arrival(gpu, read.mapAsync(GPUMapMode.READ));
    const stamps = new BigUint64Array(read.getMappedRange().slice(0));
    read.unmap();
    return Array.from({ length: count }, (_, index) => {
      const spent = stamps[2 * index + 1] - stamps[2 * index];
      // Clocks of adapters may be set back between passes.
      return spent > 0n ? Number(spent) : 0;
    });
  });
  sets.forEach((set) => set.destroy());
  resolved.destroy();
  read.destroy();
  return { header: { times_ns } };
}

/**
 * Gives the memory of a program back.
 *
 * @param {Message} message
 */
export async function drop({ header }) {
  const program = programs.get(header.program);
  programs.delete(header.program);
  [...(program?.buffers ?? [])].forEach((buffer) => buffer.destroy());
  program?.parameters.destroy();
  program?.readback.destroy();
  return { header: {} };
}
