// Serves the page of the comparison, starts a browser on it, and hands it one command after the other.

import { spawn } from 'node:child_process';
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import os from 'node:os';
import path from 'node:path';

const HERE = import.meta.dirname;
export const ROOT = path.resolve(HERE, '../../..');
const COMMAND_MS = 15 * 60 * 1000;
const TYPES = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.json': 'application/json', '.wasm': 'application/wasm' };

const CHROMIUM = [
  ...['--headless=new', '--no-first-run', '--disable-background-networking', '--disable-component-update'],
  ...['--disable-sync', '--disable-quic', '--no-proxy-server', '--disable-background-timer-throttling'],
  ...['--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows', '--enable-unsafe-webgpu'],
];
const FIREFOX = {
  ...{ 'dom.webgpu.enabled': true, 'gfx.webgpu.ignore-blocklist': true, 'gfx.webgpu.force-enabled': true },
  ...{ 'privacy.reduceTimerPrecision': false, 'dom.max_script_run_time': 0, 'network.proxy.type': 0 },
};

/** The document of a frame: its engine at hand, and the packages that transformers.js imports by name. */
function frame(cache) {
  // npm puts them below it or beside it.
  const below = (name) => `@huggingface/transformers/node_modules/${name}`;
  const of = (name) => `/npm/${existsSync(path.join(cache, 'npm/node_modules', below(name))) ? below(name) : name}`;
  const imports = {
    'onnxruntime-web/webgpu': `${of('onnxruntime-web')}/dist/ort.webgpu.bundle.min.mjs`,
    'onnxruntime-common': `${of('onnxruntime-common')}/dist/esm/index.js`,
  };
  return `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script><script type="module">
    import * as engine from '/engines.js'; window.engine = engine; parent.postMessage('loaded', origin);</script>`;
}

/** The file that a path of the page's stands for. */
function place(url, cache) {
  const [top, ...rest] = decodeURIComponent(url).split('/').slice(1);
  if (rest.includes('..')) return '';
  if (['control.js', 'engines.js'].includes(top)) return path.join(HERE, top);
  if (top === 'page') return path.join(ROOT, 'harness/browser/page', ...rest);
  if (top === 'npm') return path.join(cache, 'npm/node_modules', ...rest);
  const rows = path.join(cache, 'rows');
  // Our page fetches the content of a program by its number, which is the interface's name here.
  if (top === 'rows' && rest[1] === 'content') return path.join(rows, rest[0], 'ours', rest[2] ?? '', 'content.bin');
  if (top === 'rows') return path.join(rows, ...rest);
  // As transformers.js lays a model out: ROW/VARIANT/config.json and ROW/VARIANT/onnx/model.onnx.
  const [row, variant, ...file] = rest;
  if (top !== 'models' || file.length === 0) return '';
  if (file[0] === 'onnx') return path.join(rows, row, variant, ...file.slice(1));
  return path.join(readFileSync(path.join(rows, row, 'folder.txt'), 'utf8').trim(), ...file);
}

function send(file, request, response) {
  if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end(`there is no ${file}`);
  const size = statSync(file).size;
  const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const range = start ? { start: Number(start), end: Number(end) } : { start: 0, end: size - 1 };
  response.writeHead(start ? 206 : 200, { 'content-type': type, 'content-length': range.end - range.start + 1 });
  return size === 0 ? response.end() : createReadStream(file, range).pipe(response);
}

/** Serves on 127.0.0.1, which browsers trust as they trust https; threads in WebAssembly need both policies. */
async function serve(cache) {
  const state = { waiting: null, command: null, answer: null };
  state.give = () => {
    if (!state.waiting || !state.command) return;
    state.waiting.end(JSON.stringify(state.command));
    Object.assign(state, { waiting: null, command: null });
  };
  const server = createServer((request, response) => {
    response.setHeader('cross-origin-opener-policy', 'same-origin');
    response.setHeader('cross-origin-embedder-policy', 'require-corp');
    const { pathname } = new URL(request.url, 'http://127.0.0.1');
    if (pathname === '/next') {
      state.waiting = response;
      state.give();
    } else if (pathname === '/answer') {
      let text = '';
      request.on('data', (part) => (text += part)).on('end', () => {
        response.end();
        state.answer?.(JSON.parse(text));
      });
    } else if (pathname === '/' || pathname.endsWith('/frame.html')) {
      response.setHeader('content-type', 'text/html');
      response.end(pathname === '/' ? '<!doctype html><body><script type="module" src="/control.js"></script>' : frame(cache));
    } else send(place(pathname, cache), request, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, state, url: `http://127.0.0.1:${server.address().port}/` };
}

/** The arguments of a browser that opens a page with an empty profile. */
function command(browser, software, profile, url) {
  if (/firefox/.test(path.basename(browser))) {
    const lines = Object.entries(FIREFOX).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
    writeFileSync(path.join(profile, 'user.js'), lines.join(''));
    return ['--headless', '--no-remote', '--profile', profile, url];
  }
  const features = ['WebMachineLearningNeuralNetwork', ...(!software && process.platform === 'linux' ? ['Vulkan'] : [])];
  const flags = [...CHROMIUM, `--enable-features=${features}`, `--user-data-dir=${profile}`];
  if (software) flags.push('--use-webgpu-adapter=swiftshader', '--disable-gpu-watchdog');
  else if (process.platform === 'linux') flags.push('--use-angle=vulkan', '--disable-vulkan-surface');
  if (process.getuid?.() === 0) flags.push('--no-sandbox');
  return [...flags, url];
}

/** A browser with the page: `ask(command, message)` and `close()`. Without a path, the page waits for one by hand. */
export async function start(cache, browser, software) {
  const { server, state, url } = await serve(cache);
  const profile = mkdtempSync(path.join(os.tmpdir(), 'peers-'));
  let [child, ended] = [];
  const gone = new Promise((_, reject) => (ended = reject));
  gone.catch(() => {});
  if (browser) {
    // The packed headless shell brings its libraries along.
    const own = existsSync(path.join(path.dirname(browser), 'libvulkan.so.1'));
    const env = own ? { ...process.env, LD_LIBRARY_PATH: path.dirname(browser) } : process.env;
    child = spawn(browser, command(browser, software, profile, url), { env, detached: true, stdio: 'ignore' });
    child.on('error', ended);
    child.on('exit', (code, signal) => ended(new Error(`${browser} ended (${code ?? signal})`)));
  } else console.error(`Open ${url} in the browser that is to be measured.`);
  const ask = (name, message = {}) => {
    let timer;
    const answered = new Promise((resolve, reject) => {
      state.answer = ({ value, error }) => (error === undefined ? resolve(value) : reject(new Error(error)));
      timer = setTimeout(() => reject(new Error(`no answer to ${name} in ${COMMAND_MS / 60000} minutes`)), COMMAND_MS);
    });
    state.command = { command: name, ...message };
    state.give();
    return Promise.race([answered, gone]).finally(() => clearTimeout(timer));
  };
  const close = async () => {
    if (child?.pid && child.exitCode === null && child.signalCode === null) {
      const exit = new Promise((resolve) => child.once('exit', resolve));
      process.kill(-child.pid, 'SIGKILL');
      await exit;
    }
    server.closeAllConnections();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  return { ask, close };
}
