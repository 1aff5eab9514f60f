// Reads a path off the best next bins: one thread, since every step asks for the one before.
//
// params           rows [first_row, end_row) of the tile; from one row of `next` to the following one
// next             [tile rows, stride] u32, the best bin of a row for every bin of the row before
// path_bin         [1] u32, the bin before the first row; then of the last
// path             [tile rows] u32, written
//
// f64 twin: test/reference/viterbi.ts.

struct Params {
  first_row: u32,
  end_row: u32,
  stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> next: array<u32>;
@group(0) @binding(2) var<storage, read_write> path_bin: array<u32>;
@group(0) @binding(3) var<storage, read_write> path: array<u32>;

@compute @workgroup_size(1)
fn viterbi_trace() {
  var bin = path_bin[0];
  for (var row = params.first_row; row < params.end_row; row++) {
    bin = next[row * params.stride + bin];
    path[row] = bin;
  }
  path_bin[0] = bin;
}
