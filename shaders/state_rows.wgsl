// Likelihoods of rows for states that differ in what they expect, one workgroup a row.
//
//   bin of a grid    its likelihood, times 2^bias where there is one
//   state of one bin its own likelihood
//
// params           rows [first_row, end_row) of the tile
// sources          [PLACED] vec2<u32>: where a cell of bins lies in a row of spatial, and in one of bias or NO_BIAS
// spatial          [rows, SPATIAL] vec4<u32> of wide.wgsl, relative to 2^row_maximum
// bias             [rows, BIASES] vec4<f32>, to base 2; at most -16384 where a bin is ruled out
// own              [rows, ONES] vec2<i32>, to base 2: whole part and 2^-24, counted as row_maximum is
// likelihood       [rows, CELLS] vec4<u32> of wide.wgsl, written: PLACED cells of bins, then states of one bin
// row_maximum      [rows] vec2<i32>, read and written: whole part and 2^-24, to base 2
//
// Of the new maximum only the whole part changes: likelihoods keep their digits, and the largest lies between 1/8
// and 1.
//
// f64 twin: test/reference/state_rows.ts.

override WORKGROUP: u32;
override PLACED: u32;
override SPATIAL: u32;
override BIASES: u32;
override ONES: u32;
override CELLS: u32;

const NO_BIAS: u32 = 0xffffffffu;
const RULED_OUT: f32 = 16384.0;

struct Params {
  first_row: u32,
  end_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sources: array<vec2u>;
@group(0) @binding(2) var<storage, read> spatial: array<vec4u>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> own: array<vec2i>;
@group(0) @binding(5) var<storage, read_write> likelihood: array<vec4u>;
@group(0) @binding(6) var<storage, read_write> row_maximum: array<vec2i>;

fn biased(base: WideParts, by: vec4f) -> WideParts {
  let down = clamp(-by, vec4f(-RULED_OUT), vec4f(RULED_OUT));
  let whole = floor(down);
  let power = power_of_two(vec4i(whole), vec4i((down - whole) * 16777216.0));
  let exponent = select(base.exponent + power.exponent, vec4i(WIDE_ZERO), down >= vec4f(RULED_OUT));
  return WideParts(base.mantissa * power.mantissa, exponent);
}

// States of one bin, four at a time.
fn ones_of(row: u32, first: u32) -> WideParts {
  let origin = row_maximum[row];
  var whole = vec4i(16384);
  var fraction = vec4i();
  var inside = vec4<bool>(false);
  for (var i = 0u; i < 4u; i++) {
    if (first + i < ONES) {
      let one = own[row * ONES + first + i];
      whole[i] = origin.x - one.x;
      fraction[i] = origin.y - one.y;
      inside[i] = true;
    }
  }
  // a fraction that is borrowed from
  let power = power_of_two(whole + (fraction >> vec4u(24u)), fraction & vec4i(FRACTION));
  return WideParts(power.mantissa, select(vec4i(WIDE_ZERO), power.exponent, inside));
}

fn parts_at(row: u32, cell: u32) -> WideParts {
  if (cell >= PLACED) {
    return ones_of(row, 4u * (cell - PLACED));
  }
  let source = sources[cell];
  let base = wide_parts(spatial[row * SPATIAL + source.x]);
  if (source.y == NO_BIAS) {
    return base;
  }
  return biased(base, bias[row * BIASES + source.y]);
}

@compute @workgroup_size(WORKGROUP)
fn state_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  // more rows than one dispatch dimension takes are folded into two
  let row = params.first_row + group.y * groups.x + group.x;
  if (row >= params.end_row) {
    return;
  }
  var most = WIDE_ZERO;
  for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
    most = max(most, highest_of(parts_at(row, cell).exponent));
  }
  let largest = largest_exponent(thread, most);
  // products of mantissas are below 4; of nothing at all nothing is the largest
  let shift = select(largest + 2, 0, largest < WIDE_LEAST);
  for (var cell = thread; cell < CELLS; cell += WORKGROUP) {
    let parts = parts_at(row, cell);
    likelihood[row * CELLS + cell] = wide_of(parts.mantissa, parts.exponent - shift);
  }
  // others read it until now
  storageBarrier();
  if (thread == 0u) {
    row_maximum[row].x += shift;
  }
}
