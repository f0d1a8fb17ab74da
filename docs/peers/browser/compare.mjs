#!/usr/bin/env node
// Compares our WebGPU and WebNN with onnxruntime-web and transformers.js, in one browser, on one adapter, in one run.
//
//     python3 docs/peers/browser/rows.py CACHE
//     cargo build --release --package proofmark-models --example export
//     node docs/peers/browser/compare.mjs CACHE [ROW…] [--browser PATH] [--software] [--engines A,B,…]
//         [--rounds N] [--json FILE] [--export PROGRAM]
//
// The peers are installed by npm into CACHE at the versions below. Without --browser a page waits to be opened by hand.
// Of a peer that takes a model in several forms, the quickest is measured. Before anything is timed, the outputs are
// compared with PyTorch's in f64. Engines take turns, in one order and then in the other; the first run of a turn and
// the first round are not counted. A ratio is a peer's time over ours in the same round: above 1, Proofmark is faster.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { ROOT, start } from './browser.mjs';

const PACKAGES = { 'onnxruntime-web': '1.30.0', '@huggingface/transformers': '4.3.1' };
const OURS = ['proofmark-webgpu', 'proofmark-webnn'];
// Threads that spin after a run go to sleep meanwhile.
const PAUSE_MS = 150;
const TURN_MS = 400;
const RUNS_MAX = 50;
// Of the largest magnitude. An engine beyond it computes something else and is not timed.
const TOLERANCE = 1e-4;

function parse() {
  const text = { type: 'string' };
  const program = { ...text, default: path.join(ROOT, 'target/release/examples/export') };
  const [rounds, software] = [{ ...text, default: '7' }, { type: 'boolean', default: false }];
  const options = { browser: text, software, engines: text, rounds, json: text, export: program };
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const [cache, ...rows] = positionals;
  if (!cache) throw new Error('use: compare.mjs CACHE [ROW…] [options]; the head of the file says which');
  return { ...values, rounds: Number(values.rounds), cache: path.resolve(cache), rows };
}

/** Installs the peers, if they are not there at these versions; their native halves are not needed. */
function install(cache) {
  const folder = path.join(cache, 'npm');
  const manifest = (name) => path.join(folder, 'node_modules', name, 'package.json');
  const versionOf = (name) => existsSync(manifest(name)) && JSON.parse(readFileSync(manifest(name), 'utf8')).version;
  if (Object.entries(PACKAGES).every(([name, version]) => versionOf(name) === version)) return;
  mkdirSync(folder, { recursive: true });
  const wanted = Object.entries(PACKAGES).map(([name, version]) => `${name}@${version}`);
  const options = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder];
  execFileSync('npm', ['install', ...options, ...wanted], { stdio: 'inherit', cwd: folder });
}

function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = part * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at - Math.floor(at));
}

/** Has our plans made for this browser's adapter; tells why if that cannot be done. */
function exported(options, row, probe) {
  if (!existsSync(options.export)) return `${options.export} is not built`;
  const out = path.join(options.cache, 'rows', row);
  const read = (name) => readFileSync(path.join(out, name), 'utf8').trim();
  const arguments_ = [read('folder.txt'), path.join(out, 'golden.safetensors'), probe, path.join(out, 'ours')];
  const { status, stderr, error } = spawnSync(options.export, [...arguments_, read('output.txt')], { encoding: 'utf8' });
  return status === 0 ? '' : `export failed: ${error ?? stderr.trim()}`;
}

/** Of each engine its quickest variant with its error, or the reason why it has none. */
async function screen(page, row, output, engines, cannot) {
  const [chosen, absent] = [new Map(), {}];
  for (const [engine, variants] of engines) {
    for (const variant of variants) {
      try {
        if (OURS.includes(engine) && cannot) throw new Error(cannot);
        const opened = await page.ask('open', { engine, row, variant, output });
        const error = opened.error / opened.largest;
        if (!(error <= TOLERANCE)) throw new Error(`it computes something else: error ${error.toExponential(1)}`);
        await sleep(PAUSE_MS);
        const once = await page.ask('time', { engine, count: 1 });
        const ms = Math.min(once, await page.ask('time', { engine, count: runs(once) }));
        console.error(`${row} ${engine} ${variant}: ${ms.toFixed(2)} ms, error ${error.toExponential(1)}`);
        if (!(chosen.get(engine)?.ms <= ms)) chosen.set(engine, { variant, ms, ...opened });
      } catch (reason) {
        console.error(`${row} ${engine} ${variant}: ${reason.message}`);
        absent[engine] = `${variant}: ${reason.message}`.replace(/^: /, '');
      } finally {
        await page.ask('close', { engine });
      }
    }
    if (chosen.has(engine)) delete absent[engine];
  }
  return { chosen, absent };
}

/** So many runs make a turn. */
const runs = (ms) => Math.min(Math.max(Math.round(TURN_MS / ms), 1), RUNS_MAX);

/** The mean of each turn in milliseconds, by engine. */
async function rounds(page, row, output, chosen, count) {
  const turns = new Map([...chosen.keys()].map((engine) => [engine, []]));
  for (const [engine, { variant }] of chosen) await page.ask('open', { engine, row, variant, output });
  for (let round = 0; round <= count; round += 1) {
    const order = [...chosen.keys()];
    if (round % 2) order.reverse();
    for (const engine of order) {
      await sleep(PAUSE_MS);
      const ms = await page.ask('time', { engine, count: runs(chosen.get(engine).ms) });
      if (round > 0) turns.get(engine).push(ms);
    }
  }
  for (const engine of chosen.keys()) await page.ask('close', { engine });
  return turns;
}

/** A peer's time over ours, round by round: the median, and the middle half of the rounds. */
function ratio(turns, engine, ours) {
  const own = turns.get(ours);
  const ratios = own && engine !== ours && turns.get(engine).map((ms, i) => ms / own[i]);
  return ratios ? [0.25, 0.5, 0.75].map((part) => quantile(ratios, part)) : null;
}

/** Prints a row's table; gives its record. */
function report(row, { chosen, absent }, turns) {
  const record = { absent, engines: {} };
  const shown = (found) => found ? `${found[1].toFixed(2)} (${found[0].toFixed(2)} to ${found[2].toFixed(2)})` : '';
  console.log(`\n| ${row} | form | ms | ratio to our WebGPU | ratio to our WebNN | error |`);
  console.log('|---|---|---:|---|---|---:|');
  for (const [engine, { variant, name, error, largest, ...facts }] of chosen) {
    const [gpu, nn] = OURS.map((ours) => ratio(turns, engine, ours));
    const ms = quantile(turns.get(engine), 0.5);
    const off = (error / largest).toExponential(1);
    console.log(`| ${engine} | ${variant} | ${ms.toFixed(2)} | ${shown(gpu)} | ${shown(nn)} | ${off} |`);
    const ratios = { webgpu: gpu, webnn: nn };
    record.engines[engine] = { name, variant, ms, ratios, error, largest, turns_ms: turns.get(engine), ...facts };
  }
  for (const [engine, reason] of Object.entries(absent)) console.log(`| ${engine} | absent: ${reason} | | | | |`);
  return record;
}

async function main() {
  const options = parse();
  install(options.cache);
  const page = await start(options.cache, options.browser, options.software);
  const results = { packages: PACKAGES, rows: {} };
  try {
    const variants = await page.ask('variants');
    const names = options.engines?.split(',') ?? Object.keys(variants);
    const unknown = names.find((name) => !(name in variants));
    if (unknown) throw new Error(`there is no engine ${unknown}: there are ${Object.keys(variants).join(', ')}`);
    const engines = names.map((name) => [name, variants[name]]);
    results.browser = await page.ask('probe');
    const { user_agent, info, fallback, isolated, threads, webnn } = results.browser;
    console.log(`${user_agent}, ${threads} threads, cross-origin isolated: ${isolated}`);
    console.log(`adapter ${JSON.stringify(info)}, fallback: ${fallback}, WebNN: ${webnn !== null}`);
    const probe = path.join(options.cache, 'probe.json');
    writeFileSync(probe, JSON.stringify(results.browser, null, 1));
    const prepared = readdirSync(path.join(options.cache, 'rows'));
    for (const row of options.rows.length ? options.rows : prepared) {
      if (!prepared.includes(row)) throw new Error(`${row} is not prepared: there are ${prepared.join(', ')}`);
      const cannot = names.some((name) => OURS.includes(name)) ? exported(options, row, probe) : '';
      const output = readFileSync(path.join(options.cache, 'rows', row, 'output.txt'), 'utf8').trim();
      const screened = await screen(page, row, output, engines, cannot);
      results.rows[row] = report(row, screened, await rounds(page, row, output, screened.chosen, options.rounds));
      if (options.json) writeFileSync(options.json, JSON.stringify(results, null, 1));
    }
  } finally {
    await page.close();
  }
}

await main();
