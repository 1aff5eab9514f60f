/** A model for ONNX Runtime that is one product, as the bytes of its file. */

const FLOAT = 1;

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 127; value >>>= 7) bytes.push(value & 127 | 128);
  return [...bytes, value];
}

/** Fields of protobuf messages, by their numbers. */
const whole = (field: number, value: number) => [...varint(8 * field), ...varint(value)];
const bytes = (field: number, own: number[]) => [
  ...varint(8 * field + 2),
  ...varint(own.length),
  ...own,
];
const text = (field: number, own: string) => bytes(field, [...new TextEncoder().encode(own)]);

function described(name: string, dims: readonly (number | string)[]): number[] {
  const shape = dims.flatMap((dim) =>
    bytes(1, typeof dim === "string" ? text(2, dim) : whole(1, dim))
  );
  return [...text(1, name), ...bytes(2, bytes(1, [...whole(1, FLOAT), ...bytes(2, shape)]))];
}

/** `output = input @ weights`, of an input [batch, time, rows] and weights [rows, columns]. */
export function onnxProduct(weights: Float32Array, columns: number): number[] {
  const rows = weights.length / columns;
  const product = [...text(1, "input"), ...text(1, "weights"), ...text(2, "output")];
  const values = [...new Uint8Array(weights.slice().buffer)];
  const graph = [
    ...bytes(1, [...product, ...text(4, "MatMul")]),
    ...text(2, "product"),
    ...bytes(5, [
      ...[rows, columns].flatMap((dim) => whole(1, dim)),
      ...whole(2, FLOAT),
      ...text(8, "weights"),
      ...bytes(9, values),
    ]),
    ...bytes(11, described("input", ["batch", "time", rows])),
    ...bytes(12, described("output", ["batch", "time", columns])),
  ];
  // of version 8 of the format, with operators of version 13
  return [...whole(1, 8), ...bytes(7, graph), ...bytes(8, whole(2, 13))];
}
