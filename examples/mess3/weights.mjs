/**
 * Weights of an ONNX model, drawn anew: what a network of the same shape knows that was never trained.
 *
 * @module
 */

/** Fields of a protobuf message: number, and where its value lies. */
function* fieldsOf(bytes, start = 0, end = bytes.length) {
  let at = start;
  const varint = () => {
    let value = 0;
    for (let shift = 1;; shift *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < end) {
    const key = varint();
    const [field, type] = [key >>> 3, key & 7];
    if (type === 0) yield { field, value: varint() };
    else {
      const length = type === 2 ? varint() : type === 5 ? 4 : 8;
      yield { field, start: at, end: at + length };
      at += length;
    }
  }
}

const GRAPH = 7;
const INITIALIZER = 5;
const [DIMS, DATA_TYPE, RAW_DATA] = [1, 2, 9];
const FLOAT = 1;

/**
 * The same model whose matrices are drawn from normal distributions of the deviations they have. Vectors (biases, scales)
 * stay.
 *
 * @param model Bytes of an `.onnx` file with its weights inside.
 * @param normal Draws from the standard normal distribution.
 */
export function redraw(model, normal) {
  const bytes = model.slice();
  const within = ({ start, end }) => fieldsOf(bytes, start, end);
  for (const graph of fieldsOf(bytes)) {
    if (graph.field !== GRAPH) continue;
    for (const tensor of within(graph)) {
      if (tensor.field !== INITIALIZER) continue;
      const fields = [...within(tensor)];
      const find = (field) => fields.find((one) => one.field === field);
      const dims = fields.filter(({ field }) => field === DIMS);
      // packed: a byte each, or more
      const axes = dims.flatMap((one) => one.value ?? [...bytes.subarray(one.start, one.end)]);
      const raw = find(RAW_DATA);
      if (find(DATA_TYPE)?.value !== FLOAT || axes.length < 2 || !raw) continue;
      // floats may begin at any byte
      const view = new DataView(
        bytes.buffer,
        bytes.byteOffset + raw.start,
        raw.end - raw.start,
      );
      const count = view.byteLength / 4;
      let squares = 0;
      for (let i = 0; i < count; i++) {
        squares += view.getFloat32(4 * i, true) ** 2;
      }
      const deviation = Math.sqrt(squares / count);
      for (let i = 0; i < count; i++) {
        view.setFloat32(4 * i, deviation * normal(), true);
      }
    }
  }
  return bytes;
}
