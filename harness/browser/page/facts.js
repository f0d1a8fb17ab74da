// What this browser says of itself and of the machine, and how fast plain code runs in it.

/** @returns {Promise<Record<string, unknown>>} */
export async function collect() {
  return {
    user_agent: navigator.userAgent,
    platform: navigator.platform,
    languages: navigator.languages,
    secure: isSecureContext,
    isolated: crossOriginIsolated,
    threads: navigator.hardwareConcurrency,
    shared_memory: typeof SharedArrayBuffer === 'function',
    wasm_simd: simd(),
    memory_gb: /** @type {any} */ (navigator).deviceMemory ?? null,
    heap_bytes: heap(),
    webgpu: 'gpu' in navigator,
    webnn: 'ml' in navigator,
    renderer: renderer(),
    origin_ms: performance.timeOrigin,
    navigation: timing(),
  };
}

/** When the page was asked for, answered and loaded, in milliseconds from its beginning. */
function timing() {
  const entry = /** @type {PerformanceNavigationTiming | undefined} */ (
    performance.getEntriesByType('navigation')[0]
  );
  if (!entry) return null;
  return {
    response_ms: entry.responseEnd,
    interactive_ms: entry.domInteractive,
    ready_ms: performance.now(),
  };
}

/** A module with one SIMD instruction: valid only where there is SIMD. */
function simd() {
  const module = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253,
    15, 253, 98, 11,
  ];
  return WebAssembly.validate(new Uint8Array(module));
}

/** Bytes of JavaScript's heap, where the browser tells. */
export function heap() {
  return /** @type {any} */ (performance).memory?.usedJSHeapSize ?? null;
}

/** The name of the renderer behind WebGL: another witness of what the adapter is. */
function renderer() {
  const context = document.createElement('canvas').getContext('webgl');
  if (!context) return null;
  const info = context.getExtension('WEBGL_debug_renderer_info');
  const name = info ? info.UNMASKED_RENDERER_WEBGL : context.RENDERER;
  const text = context.getParameter(name);
  context.getExtension('WEBGL_lose_context')?.loseContext();
  return String(text);
}

/**
 * The smallest step of `performance.now()`, in milliseconds: the least of a hundred. A clock whose steps are smaller
 * than a call takes shows the time of a call.
 */
export function clockResolution() {
  let least = Infinity;
  let last = performance.now();
  for (let steps = 0; steps < 100; ) {
    const now = performance.now();
    if (now > last) {
      least = Math.min(least, now - last);
      last = now;
      steps += 1;
    }
  }
  return least;
}

/**
 * Floating-point operations per second of one thread of plain code: a product of matrices of 128 × 128, the best of
 * several. It is what an adapter that is hardware must leave far behind.
 */
export function scalarRate() {
  const n = 128;
  const [a, b, c] = [0, 1, 2].map((seed) =>
    Float32Array.from({ length: n * n }, (_, i) => ((i * 7 + seed) % 13) - 6),
  );
  let best = 0;
  for (let round = 0; round < 8; round += 1) {
    const begin = performance.now();
    for (let i = 0; i < n; i += 1) {
      for (let k = 0; k < n; k += 1) {
        const factor = a[i * n + k];
        for (let j = 0; j < n; j += 1) c[i * n + j] += factor * b[k * n + j];
      }
    }
    const ms = performance.now() - begin;
    if (ms > 0) best = Math.max(best, (2 * n ** 3 * 1000) / ms);
  }
  return best;
}
