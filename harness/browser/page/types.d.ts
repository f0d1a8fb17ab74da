// What the page uses of WebNN (W3C Web Neural Network API), which TypeScript's own library has not yet.

type MLOperandDataType =
  | 'float32' | 'float16' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'int8' | 'uint8';

interface MLContextOptions {
  deviceType?: 'cpu' | 'gpu' | 'npu';
  powerPreference?: 'default' | 'high-performance' | 'low-power';
  accelerated?: boolean;
}

interface MLOperandDescriptor {
  dataType: MLOperandDataType;
  shape: number[];
}

interface MLTensorDescriptor extends MLOperandDescriptor {
  readable?: boolean;
  writable?: boolean;
}

interface MLOperand {
  readonly dataType: MLOperandDataType;
  readonly shape: readonly number[];
}

interface MLTensor extends MLOperand {
  destroy(): void;
}

interface MLGraph {
  /** Younger than the rest. */
  destroy?(): void;
}

interface MLContext {
  /** Both younger than the rest. */
  readonly lost?: Promise<{ message: string }>;
  readonly accelerated?: boolean;
  opSupportLimits(): unknown;
  createTensor(descriptor: MLTensorDescriptor): Promise<MLTensor>;
  writeTensor(tensor: MLTensor, data: AllowSharedBufferSource): void;
  readTensor(tensor: MLTensor): Promise<ArrayBuffer>;
  dispatch(graph: MLGraph, inputs: Record<string, MLTensor>, outputs: Record<string, MLTensor>): void;
  destroy?(): void;
}

interface MLGraphBuilder {
  input(name: string, descriptor: MLOperandDescriptor): MLOperand;
  constant(descriptor: MLOperandDescriptor, data: AllowSharedBufferSource): MLOperand;
  build(outputs: Record<string, MLOperand>): Promise<MLGraph>;
}

declare const MLGraphBuilder: { new (context: MLContext): MLGraphBuilder };

interface Navigator {
  readonly ml?: { createContext(options?: MLContextOptions): Promise<MLContext> };
}
