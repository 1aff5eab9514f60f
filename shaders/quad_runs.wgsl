enable subgroups; // What it costs that all threads of a quad have the same 8 numbers: two ways, for their time.
//
// params   rounds, a multiple of 4; 0 when every thread loads them all, 1 when each loads two for all four
// numbers  [16] mat2x4<f32>
// sums     [64] mat2x4<f32>, written: of the numbers of all rounds
//
// Used by src/gpu/quads.ts. The second way is that of shared/run_by_quad.wgsl.

struct Params {
  rounds: u32,
  by_quad: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> numbers: array<mat2x4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<mat2x4f>;

fn shared_run(at: u32) -> mat2x4f {
  return numbers[at];
}

fn shared_element(at: u32, column: u32, row: u32) -> f32 {
  return numbers[at][column][row];
}

@compute @workgroup_size(64)
fn quad_runs(@builtin(local_invocation_index) lane: u32) {
  var sum = mat2x4f();
  if (params.by_quad == 0u) {
    for (var round = 0u; round < params.rounds; round += 4u) {
      sum += shared_run(round & 15u);
      sum += shared_run((round + 1u) & 15u);
      sum += shared_run((round + 2u) & 15u);
      sum += shared_run((round + 3u) & 15u);
    }
  } else {
    for (var round = 0u; round < params.rounds; round += 4u) {
      sum += take_run(round & 15u, lane);
      sum += take_run((round + 1u) & 15u, lane);
      sum += take_run((round + 2u) & 15u, lane);
      sum += take_run((round + 3u) & 15u, lane);
    }
  }
  sums[lane] = sum;
}
