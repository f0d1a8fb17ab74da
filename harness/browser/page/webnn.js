// WebNN: the page's commands for contexts and graphs. What a graph is, and how it is built, comes from the other side;
// `mlgraph.js` builds and runs it.

import { heap } from './facts.js';
import * as mlgraph from './mlgraph.js';
import { fetchAll } from './weights.js';

/**
 * @typedef {import('./channel.js').Message} Message
 * @typedef {import('./mlgraph.js').Prepared} Prepared
 * @typedef {import('./mlgraph.js').Script} Script
 */

/** @type {MLContext | undefined} */
let context;
/** @type {string | undefined} */
let lost;
/** @type {Map<number, Prepared>} */
const programs = new Map();

/**
 * Which device types give a context, and what each says of itself. Nothing stays open.
 *
 * @param {Message} message with `options`, the options of each context that is tried
 */
export async function probe({ header }) {
  const tried = [];
  for (const options of header.options) {
    try {
      const opened = await mlgraph.open(options);
      tried.push({ options, limits: opened.limits, accelerated: opened.accelerated });
      opened.context.destroy?.();
    } catch (error) {
      tried.push({ options, error: `${error instanceof Error ? `${error.name}: ${error.message}` : error}` });
    }
  }
  return { header: { tried } };
}

/**
 * Opens the context that graphs are built in.
 *
 * @param {Message} message with `options` for the context
 */
export async function open({ header }) {
  const opened = await mlgraph.open(header.options);
  context = opened.context;
  context.lost?.then(({ message }) => {
    lost = `the context is lost: ${message}`;
  });
  const { limits, accelerated, stages } = opened;
  return { header: { limits, accelerated, stages } };
}

/** The open context; an error if there is none any more. */
function opened() {
  if (lost) throw new Error(lost);
  if (!context) throw new Error('no context is open');
  return context;
}

/**
 * Does `work`; where the context is lost meanwhile, that is the error.
 *
 * @template T
 * @param {(context: MLContext) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function guarded(work) {
  try {
    return await work(opened());
  } catch (error) {
    // The promise that tells of it may settle after the one that failed.
    await new Promise((resolve) => setTimeout(resolve, 0));
    throw lost ? new Error(lost) : error;
  }
}

/**
 * Fetches the constants, builds the graph and compiles it.
 *
 * @param {Message} message with `program`, its number, and `script`
 */
export async function prepare({ header }) {
  /** @type {Script} */
  const script = header.script;
  const begin = performance.now();
  const prepared = await guarded(async (ml) => {
    const fetched = constants(header.program, script);
    const made = await mlgraph.prepare(ml, script, fetched.bytesOf);
    const times = await fetched.done;
    delete made.stages.fetch_ms;
    Object.assign(made.stages, times);
    return made;
  });
  programs.set(header.program, prepared);
  const stages = { ...prepared.stages, prepare_ms: performance.now() - begin };
  return { header: { stages, heap_bytes: heap() } };
}

/**
 * Constants on their way: those that are not inline are one body, fetched in their order.
 *
 * @param {number} program
 * @param {Script} script
 */
function constants(program, script) {
  const wanted = script.constants.flatMap((constant, index) =>
    constant.inline ? [] : [{ index, bytes: mlgraph.byteLength(constant) }],
  );
  /** @type {Map<number, {bytes: Uint8Array<ArrayBuffer>, left: number, whole: Promise<void>, arrived: () => void}>} */
  const places = new Map();
  const place = (/** @type {number} */ index) => {
    let found = places.get(index);
    if (!found) {
      const bytes = new Uint8Array(mlgraph.byteLength(script.constants[index]));
      let arrived = () => {};
      const whole = new Promise((/** @type {(none: void) => void} */ resolve) => {
        arrived = resolve;
      });
      found = { bytes, left: bytes.byteLength, whole, arrived };
      places.set(index, found);
    }
    return found;
  };
  const done = fetchAll(program, wanted, (index, start, bytes) => {
    const found = place(index);
    found.bytes.set(bytes, start);
    found.left -= bytes.byteLength;
    if (found.left === 0) found.arrived();
  });
  // A failure is told to whoever waits for a constant, and to whoever waits for the end.
  const failed = done.then(() => new Promise(() => {}));
  failed.catch(() => {});
  const bytesOf = async (/** @type {number} */ index) => {
    const { bytes, whole } = place(index);
    await Promise.race([whole, failed]);
    places.delete(index);
    return bytes;
  };
  return { bytesOf, done };
}

/** @param {number} id */
function program(id) {
  const found = programs.get(id);
  if (!found) throw new Error(`no program ${id} is prepared`);
  return found;
}

/**
 * Runs a program once and gives its outputs back.
 *
 * @param {Message} message
 */
export async function run({ header, parts }) {
  const begin = performance.now();
  const { outputs, stages } = await guarded(() => mlgraph.run(program(header.program), parts));
  const elapsed_ms = performance.now() - begin;
  return { header: { elapsed_ms, ...stages }, parts: outputs.map((output) => new Uint8Array(output)) };
}

/**
 * Runs a program several times: one reading of the clock before and one behind.
 *
 * @param {Message} message
 */
export async function times({ header, parts }) {
  const done = await guarded(() => mlgraph.runTimes(program(header.program), parts, header.count));
  return { header: { elapsed_ms: done.elapsed_ms, ...done.stages } };
}

/**
 * Gives the memory of a program back.
 *
 * @param {Message} message
 */
export async function drop({ header }) {
  const found = programs.get(header.program);
  programs.delete(header.program);
  if (found) mlgraph.close(found);
  return { header: {} };
}
