// Likelihood of rows of spikes with features, one workgroup a row.
//
//   log-likelihood = sum over the row's spikes of log intensity(spike, bin) - ground(bin)
//
// params           rows [first_row, end_row) of the tile
// spike_starts     [rows + 1] u32, first spike of each row in `intensity`; the top bit is set in rows that say
//                  nothing, whose likelihood is 1 everywhere
// intensity        [spikes, CELLS] vec4<f32>, natural logarithms
// ground           [CELLS, 2] vec4<i32>, minus the expected spikes of a row over ln 2, centred: see `silence` in
//                  poisson_likelihood.wgsl
// likelihood       [rows, CELLS] vec4<u32> of wide.wgsl, written: exp(log-likelihood - row maximum)
// row_maximum      [rows] vec2<i32>, written: whole part and 2^-24, to base 2
//
// Logarithms are added up as in shared/spike_rows.wgsl: f32 is off by hundredths of a nat in a row of 1,650 spikes.
//
// f64 twin: test/reference/clusterless.ts.

override WORKGROUP: u32;
override CELLS: u32;

// 1 / ln 2, and what f32 leaves of it, which adds up over spikes
const LOG2_E: f32 = 1.44269502;
const LOG2_E_REST: f32 = 1.92596299e-8;
// no logarithm of an intensity is so far from 0
const MOST: f32 = 65536.0;

struct Params {
  first_row: u32,
  end_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spike_starts: array<u32>;
@group(0) @binding(2) var<storage, read> intensity: array<vec4f>;
@group(0) @binding(3) var<storage, read> ground: array<vec4i>;
@group(0) @binding(4) var<storage, read_write> likelihood: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> row_maximum: array<vec2i>;

fn sums_of(cell: u32, first_spike: u32, end_spike: u32) -> Sums {
  var sums = Sums(ground[2u * cell], ground[2u * cell + 1u]);
  for (var spike = first_spike; spike < end_spike; spike++) {
    let log = clamp(intensity[spike * CELLS + cell], vec4f(-MOST), vec4f(MOST));
    let whole = floor(log * LOG2_E);
    sums.whole += vec4i(whole);
    sums.fraction += vec4i((log * LOG2_E - whole + log * LOG2_E_REST) * 16777216.0);
    if ((spike - first_spike) % CARRY == CARRY - 1u) {
      sums = carried(sums);
    }
  }
  return carried(sums);
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
  let highest = highest_sum(thread, first_spike, end_spike);
  if (thread == 0u) {
    row_maximum[row] = select(highest, vec2i(), silent);
  }
  for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
    let inside = ground[2u * cell] > vec4i(OUTSIDE);
    let power = power_at(cell, first_spike, end_spike, highest);
    let wide = select(wide_of(power.mantissa, power.exponent), vec4u(WIDE_ONE), vec4<bool>(silent));
    likelihood[row * CELLS + cell] = select(vec4u(), wide, inside);
  }
}
