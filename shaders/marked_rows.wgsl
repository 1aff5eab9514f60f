// Likelihood of rows of spikes with features, one workgroup a row.
//
//   log-likelihood = sum over the row's spikes of log intensity(spike, bin) - ground(bin)
//
// params           rows [first_row, end_row) of the tile
// spike_starts     [rows + 1] u32, first spike of each row in `intensity`; the top bit is set in rows that say
//                  nothing, whose likelihood is 1 everywhere
// intensity        [spikes, CELLS] vec4<f32>, natural logarithms
// ground           [CELLS] vec4<f32>, minus the expected spikes of a row; OUTSIDE where there is no bin
// likelihood       [rows, CELLS] vec4<u32> of wide.wgsl, written: exp(log-likelihood - row maximum)
// row_maximum      [rows] f32, written, natural logarithm
//
// f64 twin: test/reference/clusterless.ts.

override WORKGROUP: u32;
override CELLS: u32;

const OUTSIDE: f32 = -1e30;
const SILENT: u32 = 0x80000000u;
const LOG2_E: f32 = 1.44269504;
// whole parts beyond are beyond wide numbers
const MOST_BELOW: f32 = 16384.0;

struct Params {
  first_row: u32,
  end_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spike_starts: array<u32>;
@group(0) @binding(2) var<storage, read> intensity: array<vec4f>;
@group(0) @binding(3) var<storage, read> ground: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> likelihood: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> row_maximum: array<f32>;

var<workgroup> partial: array<f32, WORKGROUP>;

fn sum_of_spikes(cell: u32, first_spike: u32, end_spike: u32) -> vec4f {
  var sum = ground[cell];
  for (var spike = first_spike; spike < end_spike; spike++) {
    sum += intensity[spike * CELLS + cell];
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn marked_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  // more rows than one dispatch dimension takes are folded into two
  let row = params.first_row + group.y * groups.x + group.x;
  if (row >= params.end_row) {
    return;
  }
  let silent = spike_starts[row] >= SILENT;
  let first_spike = spike_starts[row] & ~SILENT;
  let end_spike = spike_starts[row + 1u] & ~SILENT;
  var highest = OUTSIDE;
  for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
    let sum = sum_of_spikes(cell, first_spike, end_spike);
    highest = max(highest, max(max(sum.x, sum.y), max(sum.z, sum.w)));
  }
  partial[thread] = highest;
  workgroupBarrier();
  for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
    if (thread < width) {
      partial[thread] = max(partial[thread], partial[thread + width]);
    }
    workgroupBarrier();
  }
  highest = partial[0];
  if (thread == 0u) {
    row_maximum[row] = select(highest, 0.0, silent);
  }
  for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
    let inside = ground[cell] > vec4f(0.5 * OUTSIDE);
    let sum = sum_of_spikes(cell, first_spike, end_spike);
    let below = clamp((highest - sum) * LOG2_E, vec4f(), vec4f(MOST_BELOW));
    let whole = floor(below);
    let power = power_of_two(vec4i(whole), vec4i((below - whole) * 16777216.0));
    let wide = select(wide_of(power.mantissa, power.exponent), vec4u(WIDE_ONE), vec4<bool>(silent));
    likelihood[row * CELLS + cell] = select(vec4u(), wide, inside);
  }
}
