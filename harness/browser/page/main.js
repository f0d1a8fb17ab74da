// The page's commands: what can be asked of this browser, and which module does it.

import { describe, serve } from './channel.js';
import * as facts from './facts.js';
import * as webgpu from './webgpu.js';
import * as webnn from './webnn.js';

/**
 * @typedef {import('./channel.js').Message} Message
 * @typedef {import('./channel.js').Header} Header
 * @typedef {{header: Header, parts?: Uint8Array[]}} Answer
 */

/** @type {Record<string, (message: Message) => Promise<Answer>>} */
const commands = {
  facts: async () => ({ header: { facts: await facts.collect() } }),
  clock: async () => ({ header: { resolution_ms: facts.clockResolution() } }),
  rate: async () => ({ header: { operations_per_s: facts.scalarRate() } }),
  say: async ({ header }) => {
    show(header.text, header.done);
    return { header: {} };
  },
  'webgpu.open': webgpu.open,
  'webgpu.prepare': webgpu.prepare,
  'webgpu.check': webgpu.check,
  'webgpu.compile': webgpu.compileOnly,
  'webgpu.run': webgpu.run,
  'webgpu.times': webgpu.times,
  'webgpu.settle': webgpu.settle,
  'webgpu.ops': webgpu.ops,
  'webgpu.drop': webgpu.drop,
  'webnn.probe': webnn.probe,
  'webnn.open': webnn.open,
  'webnn.prepare': webnn.prepare,
  'webnn.run': webnn.run,
  'webnn.times': webnn.times,
  'webnn.drop': webnn.drop,
};

const status = /** @type {HTMLElement} */ (document.getElementById('status'));
const log = /** @type {HTMLElement} */ (document.getElementById('log'));

/**
 * What a person sees who opened the page by hand.
 *
 * @param {string} text
 * @param {boolean} [done] whether it is a step that is over
 */
function show(text, done) {
  if (!done) {
    status.textContent = text;
    return;
  }
  const line = document.createElement('li');
  line.textContent = text;
  log.append(line);
}

const channel = new URL('channel', location.href);
channel.protocol = channel.protocol === 'https:' ? 'wss:' : 'ws:';
show('Connected: waiting for work.');
serve(channel.href, async (message) => {
  const command = commands[message.header.command];
  if (!command) {
    throw new Error(`this page does not know the command ${message.header.command}`);
  }
  return command(message);
}).then(
  () => show('Done. This page can be closed.'),
  (error) => show(`Ended: ${describe(error)}`),
);
