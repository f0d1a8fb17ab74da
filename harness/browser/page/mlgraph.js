// WebNN: builds a graph from a script of builder calls, and runs it. The script comes from the other side
// (`kernels/src/webnn/script.rs`); nothing is decided here.

/**
 * @typedef {{operand: number, dataType: MLOperandDataType, shape: number[]}} Typed
 * @typedef {{operand: number} | {operands: number[]} | {value: unknown}} Argument
 * @typedef {{
 *   label: string,
 *   method: string,
 *   arguments: Argument[],
 *   options: Record<string, Argument>,
 *   results: number[],
 * }} Call
 * @typedef {{
 *   inputs: (Typed & {name: string, used: boolean})[],
 *   constants: (Typed & {inline: number[] | null})[],
 *   calls: Call[],
 *   outputs: (Typed & {name: string})[],
 * }} Script
 * @typedef {{
 *   context: MLContext,
 *   script: Script,
 *   graph: MLGraph,
 *   inputs: (MLTensor | null)[],
 *   outputs: MLTensor[],
 *   named: {inputs: Record<string, MLTensor>, outputs: Record<string, MLTensor>},
 *   stages: Stages,
 * }} Prepared
 * @typedef {Record<string, number>} Stages milliseconds by stage
 */

/** @type {Record<MLOperandDataType, number>} */
const BYTES = {
  float32: 4, float16: 2, int32: 4, uint32: 4, int64: 8, uint64: 8, int8: 1, uint8: 1,
};

/**
 * The bytes of an operand.
 *
 * @param {Typed} of
 */
export function byteLength({ dataType, shape }) {
  return shape.reduce((product, size) => product * size, BYTES[dataType]);
}

/**
 * Opens a context; an error in the browser's own words where it has none.
 *
 * @param {MLContextOptions} [options]
 * @returns {Promise<{context: MLContext, limits: unknown, accelerated: boolean | null, stages: Stages}>}
 */
export async function open(options) {
  if (!navigator.ml) throw new Error('this browser has no navigator.ml');
  const begin = performance.now();
  const context = await navigator.ml.createContext(options);
  const stages = { context_ms: performance.now() - begin };
  return { context, limits: context.opSupportLimits(), accelerated: context.accelerated ?? null, stages };
}

/**
 * Builds and compiles a graph and makes the tensors of its inputs and outputs.
 *
 * @param {MLContext} context
 * @param {Script} script
 * @param {(index: number) => Promise<ArrayBuffer | Uint8Array<ArrayBuffer>>} bytesOf gives the bytes of a constant that
 *   is not inline, by its index. Constants are asked for one after the other, so that the page holds one at a time.
 * @returns {Promise<Prepared>}
 */
export async function prepare(context, script, bytesOf) {
  const builder = new MLGraphBuilder(context);
  /** @type {MLOperand[]} */
  const operands = [];
  script.inputs.forEach((input, i) => {
    operands[input.operand] = builder.input(`input${i}`, descriptor(input));
  });
  let begin = performance.now();
  let fetch_ms = 0;
  for (const [index, constant] of script.constants.entries()) {
    const asked = performance.now();
    const bytes = constant.inline ? Uint8Array.from(constant.inline) : await bytesOf(index);
    fetch_ms += performance.now() - asked;
    if (bytes.byteLength !== byteLength(constant)) {
      throw new Error(`constant ${index} has ${bytes.byteLength} bytes, ${byteLength(constant)} are needed`);
    }
    operands[constant.operand] = builder.constant(descriptor(constant), bytes);
  }
  script.calls.forEach((call) => make(builder, operands, call));
  const build_ms = performance.now() - begin - fetch_ms;
  begin = performance.now();
  const graph = await builder.build(
    Object.fromEntries(script.outputs.map(({ operand }, i) => [`output${i}`, operands[operand]])),
  );
  const compile_ms = performance.now() - begin;
  begin = performance.now();
  const inputs = await Promise.all(
    script.inputs.map((input) =>
      input.used ? context.createTensor({ ...descriptor(input), writable: true }) : null,
    ),
  );
  const outputs = await Promise.all(
    script.outputs.map((output) => context.createTensor({ ...descriptor(output), readable: true })),
  );
  /** @type {Prepared['named']} */
  const named = { inputs: {}, outputs: {} };
  inputs.forEach((tensor, i) => {
    if (tensor) named.inputs[`input${i}`] = tensor;
  });
  outputs.forEach((tensor, i) => {
    named.outputs[`output${i}`] = tensor;
  });
  const stages = { fetch_ms, build_ms, compile_ms, tensors_ms: performance.now() - begin };
  return { context, script, graph, inputs, outputs, named, stages };
}

/**
 * @param {Typed} of
 * @returns {MLOperandDescriptor}
 */
function descriptor({ dataType, shape }) {
  return { dataType, shape };
}

/**
 * Calls a method of the builder and files what it makes.
 *
 * @param {MLGraphBuilder} builder
 * @param {MLOperand[]} operands
 * @param {Call} call
 */
function make(builder, operands, call) {
  const value = (/** @type {Argument} */ argument) => {
    if ('operand' in argument) return operands[argument.operand];
    if ('operands' in argument) return argument.operands.map((operand) => operands[operand]);
    return argument.value;
  };
  const options = Object.fromEntries(
    Object.entries(call.options).map(([name, argument]) => [name, value(argument)]),
  );
  const method = /** @type {Record<string, Function | undefined>} */ (/** @type {unknown} */ (builder))[call.method];
  if (!method) throw new Error(`${call.label}: the builder has no ${call.method}`);
  let made;
  try {
    made = method.call(builder, ...call.arguments.map(value), { ...options, label: call.label });
  } catch (error) {
    throw new Error(`${call.label}: ${call.method}: ${error instanceof Error ? error.message : error}`);
  }
  [made].flat().forEach((operand, i) => {
    operands[call.results[i]] = operand;
  });
}

/**
 * Runs once, from the inputs in the page's memory to the outputs in the page's memory.
 *
 * @param {Prepared} prepared
 * @param {(ArrayBuffer | Uint8Array<ArrayBuffer>)[]} inputs in the order of the script's, in the formats of their types
 * @returns {Promise<{outputs: ArrayBuffer[], stages: Stages}>}
 */
export async function run({ context, script, graph, inputs: tensors, outputs, named }, inputs) {
  const begin = performance.now();
  tensors.forEach((tensor, i) => {
    if (!tensor) return;
    // What comes over a channel may end at a whole word.
    const bytes = new Uint8Array(/** @type {any} */ (inputs[i]).buffer ?? inputs[i]);
    context.writeTensor(tensor, bytes.subarray(0, byteLength(script.inputs[i])));
  });
  const uploaded = performance.now();
  context.dispatch(graph, named.inputs, named.outputs);
  const dispatched = performance.now();
  const read = await Promise.all(outputs.map((tensor) => context.readTensor(tensor)));
  const end = performance.now();
  return {
    outputs: read,
    stages: {
      upload_ms: uploaded - begin,
      dispatch_ms: dispatched - uploaded,
      // The graph runs meanwhile; a context does not tell when it has ended.
      wait_ms: end - dispatched,
    },
  };
}

/**
 * Runs several times, one after the other, each with its inputs written and its outputs read.
 *
 * @param {Prepared} prepared
 * @param {(ArrayBuffer | Uint8Array<ArrayBuffer>)[]} inputs
 * @param {number} count
 * @returns {Promise<{elapsed_ms: number, outputs: ArrayBuffer[], stages: Stages}>} outputs of the last run, and sums of
 *   the stages
 */
export async function runTimes(prepared, inputs, count) {
  /** @type {Stages} */
  const stages = { upload_ms: 0, dispatch_ms: 0, wait_ms: 0 };
  /** @type {ArrayBuffer[]} */
  let outputs = [];
  const begin = performance.now();
  for (let i = 0; i < count; i += 1) {
    const once = await run(prepared, inputs);
    for (const name in stages) stages[name] += once.stages[name];
    outputs = once.outputs;
  }
  return { elapsed_ms: performance.now() - begin, outputs, stages };
}

/**
 * Gives the memory of a graph back.
 *
 * @param {Prepared} prepared
 */
export function close({ graph, inputs, outputs }) {
  [...inputs, ...outputs].forEach((tensor) => tensor?.destroy());
  graph.destroy?.();
}
