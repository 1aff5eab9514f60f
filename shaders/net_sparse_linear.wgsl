// Products of rows that are mostly 0, as lists, with a matrix: y = x W + b, row by row; or, of lists of columns, the gradient of such a
// matrix, x^T dy.
//
// params       see Params; places and strides in quads of f32
// indices      [items, capacity] u32: of every item which rows of `matrix` count
// values       as indices, f32: by how much
// counts       [items] u32: of how many
// matrix       rows of outputs4 quads, from matrix_at
// parameters   quads: the bias of every item at bias_at, where BIAS is true
// made         [items, outputs4] quads from made_at on, written; added to where `adds` is 1
//
// A thread makes 8 quads of an item, entry by entry: neighbours share its lists. WHOLE says that outputs4 is a multiple of 8. Of lists of columns an item more, the last, is the sum of
// all rows (tail 1), or 0 where that is known (tail 2): the gradient of the bias. Workgroups: x 64 threads. f64 twin: productsOf() in
// test/kernels/net_sparse_test.ts.

override BIAS: bool;
override WHOLE: bool;

struct Params {
  items: u32,
  capacity: u32,
  outputs4: u32,
  matrix_at: u32,
  bias_at: u32,
  made_at: u32,
  adds: u32,
  // 0 none, 1 sums, 2 zeros
  tail: u32,
  // of the matrix, for the sums
  rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read> matrix: array<vec4f>;
@group(0) @binding(5) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> made: array<vec4f>;

fn quads_of(at: u32, quads: vec4u) -> mat4x4f {
  return mat4x4f(
    matrix[at + quads.x],
    matrix[at + quads.y],
    matrix[at + quads.z],
    matrix[at + quads.w],
  );
}

fn store(quad: u32, at: u32, sum: vec4f) {
  if (WHOLE || quad < params.outputs4) {
    made[at] = sum;
  }
}

@compute @workgroup_size(64)
fn net_sparse_linear(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let outputs4 = params.outputs4;
  let across = (outputs4 + 7u) / 8u;
  let items = params.items + min(params.tail, 1u);
  for (var i = group.x * 64u + lane; i < items * across; i += groups.x * 64u) {
    let item = i / across;
    let quad = 8u * (i % across);
    // quads past the end load the last one, and are not stored
    let near = min(quad + vec4u(0u, 1u, 2u, 3u), vec4u(outputs4 - 1u));
    let far = min(quad + vec4u(4u, 5u, 6u, 7u), vec4u(outputs4 - 1u));
    let made_at = params.made_at + item * outputs4;
    var low = mat4x4f();
    var high = mat4x4f();
    if (BIAS) {
      let at = params.bias_at;
      low = mat4x4f(parameters[at + near.x], parameters[at + near.y], parameters[at + near.z], parameters[at + near.w]);
      high = mat4x4f(parameters[at + far.x], parameters[at + far.y], parameters[at + far.z], parameters[at + far.w]);
    }
    if (params.adds == 1u) {
      low = mat4x4f(made[made_at + near.x], made[made_at + near.y], made[made_at + near.z], made[made_at + near.w]);
      high = mat4x4f(made[made_at + far.x], made[made_at + far.y], made[made_at + far.z], made[made_at + far.w]);
    }
    if (item < params.items) {
      let first = item * params.capacity;
      let end = first + counts[item];
      for (var entry = first; entry < end; entry++) {
        let at = params.matrix_at + indices[entry] * outputs4;
        low += values[entry] * quads_of(at, near);
        high += values[entry] * quads_of(at, far);
      }
    } else if (params.tail == 1u) {
      for (var row = 0u; row < params.rows; row++) {
        let at = params.matrix_at + row * outputs4;
        low += quads_of(at, near);
        high += quads_of(at, far);
      }
    }
    store(quad, made_at + quad, low[0]);
    store(quad + 1u, made_at + quad + 1u, low[1]);
    store(quad + 2u, made_at + quad + 2u, low[2]);
    store(quad + 3u, made_at + quad + 3u, low[3]);
    store(quad + 4u, made_at + quad + 4u, high[0]);
    store(quad + 5u, made_at + quad + 5u, high[1]);
    store(quad + 6u, made_at + quad + 6u, high[2]);
    store(quad + 7u, made_at + quad + 7u, high[3]);
  }
}
