// The page that compare.mjs opens in a browser: it asks for commands, and gives each to the frame that it is for.

/** @type {Map<string, HTMLIFrameElement>} */
const frames = new Map();

const commands = {
  /** What the adapter and the browser's neural networks can do: plans are made for it. */
  async probe() {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
    const limits = {};
    for (const name in adapter?.limits) limits[name] = adapter.limits[name];
    const { vendor = '', architecture = '', device = '', description = '' } = adapter?.info ?? {};
    const context = await navigator.ml?.createContext({ deviceType: 'cpu' }).catch(() => null);
    const { user_agent, threads, isolated, renderer } = await (await import('/page/facts.js')).collect();
    return {
      ...{ user_agent, threads, isolated, renderer },
      info: adapter ? { vendor, architecture, device, description } : null,
      fallback: adapter?.info?.isFallbackAdapter ?? adapter?.isFallbackAdapter ?? null,
      limits,
      webnn: context ? context.opSupportLimits() : null,
    };
  },
  async variants() {
    const { engines } = await import('/engines.js');
    return Object.fromEntries(Object.entries(engines).map(([name, { variants }]) => [name, variants]));
  },
  async open(message) {
    const frame = document.createElement('iframe');
    const loaded = new Promise((resolve) => addEventListener('message', resolve, { once: true }));
    frame.src = `/rows/${message.row}/frame.html`;
    document.body.append(frame);
    frames.set(message.engine, frame);
    await loaded;
    return frame.contentWindow.engine.open(message);
  },
  time: (message) => frames.get(message.engine).contentWindow.engine.time(message),
  /** What the frame holds on the adapter goes with it. */
  async close({ engine }) {
    frames.get(engine)?.remove();
    frames.delete(engine);
    return null;
  },
};

for (;;) {
  const message = await (await fetch('/next')).json();
  let answer;
  try {
    answer = { value: await commands[message.command](message) };
  } catch (error) {
    answer = { error: String(error?.message ?? error).slice(0, 1000) };
  }
  await fetch('/answer', { method: 'POST', body: JSON.stringify(answer) });
}
