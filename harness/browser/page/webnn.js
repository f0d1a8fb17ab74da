// WebNN's commands: contexts by device type, programs by number, constants by ranges.

import { describe } from './channel.js';
import { fetchRange } from './weights.js';
import * as mlgraph from './mlgraph.js';

/**
 * @typedef {import('./channel.js').Message} Message
 * @typedef {{prepared: any, context: number}} Program
 */

/** Contexts by number. @type {any[]} */
const contexts = [];
/** @type {Map<number, Program>} */
const programs = new Map();

/**
 * What each device type gives: operator limits, or the browser's words.
 *
 * @param {Message} message
 */
export async function probe({ header }) {
  /** @type {Record<string, unknown>} */
  const found = {};
  for (const deviceType of header.device_types) {
    try {
      const { limits } = await mlgraph.open({ deviceType });
      found[deviceType] = { limits };
    } catch (error) {
      found[deviceType] = { error: describe(error) };
    }
  }
  return { header: { found } };
}

/**
 * Opens a context of a device type.
 *
 * @param {Message} message
 */
export async function open({ header }) {
  if (!('ml' in navigator)) throw new Error('this browser has no navigator.ml');
  const { context, limits, accelerated } = await mlgraph.open({ deviceType: header.device_type });
  contexts.push(context);
  return { header: { context: contexts.length - 1, limits, accelerated } };
}

/**
 * Builds a graph.
 *
 * @param {Message} message
 */
export async function prepare({ header }) {
  const begin = performance.now();
  /** Where each constant begins in the content, by its index: [begin, end]. @type {[number, number][]} */
  const places = header.places;
  const context = contexts[header.context];
  const prepared = await mlgraph.prepare(context, header.script, (/** @type {number} */ index) =>
    fetchRange(`content/${header.program}`, places[index][0], places[index][1]),
  );
  programs.set(header.program, { prepared, context: header.context });
  return { header: { stages: { ...prepared.stages, prepare_ms: performance.now() - begin } } };
}

/** @param {number} id */
function prepared(id) {
  const program = programs.get(id);
  if (!program) throw new Error(`no program ${id} is prepared`);
  return program.prepared;
}

/** @param {Uint8Array<ArrayBuffer>[]} parts */
function buffers(parts) {
  return parts.map((part) => part.buffer);
}

/**
 * Runs a program once and gives its outputs back.
 *
 * @param {Message} message
 */
export async function run({ header, parts }) {
  const program = prepared(header.program);
  const begin = performance.now();
  const { outputs, stages } = await mlgraph.run(program, buffers(parts));
  const elapsed_ms = performance.now() - begin;
  return {
    header: { elapsed_ms, ...named(stages) },
    parts: outputs.map((/** @type {ArrayBuffer} */ output) => new Uint8Array(output)),
  };
}

/**
 * Runs a program several times.
 *
 * @param {Message} message
 */
export async function times({ header, parts }) {
  const program = prepared(header.program);
  const { elapsed_ms, stages } = await mlgraph.runTimes(program, buffers(parts), header.count);
  return { header: { elapsed_ms, ...named(stages) } };
}

/**
 * The stages of a run as both interfaces name them: reading waits for the graph.
 *
 * @param {import('./mlgraph.js').Stages} stages
 */
function named({ upload_ms, dispatch_ms, wait_ms }) {
  return { dispatch_ms: upload_ms + dispatch_ms, wait_ms, read_ms: 0 };
}

/**
 * Gives the memory of a program back.
 *
 * @param {Message} message
 */
export async function drop({ header }) {
  const program = programs.get(header.program);
  programs.delete(header.program);
  if (program) mlgraph.close(program.prepared);
  return { header: {} };
}
