// Log-likelihoods of rows of spikes, added up without an error, by a workgroup a row. Appended, with power_of_two.wgsl, to
// kernels that have `override WORKGROUP`, `override CELLS` and a function sums_of(cell, first_spike, end_spike).
//
// Logarithms are to base 2, whole parts and what is above them in 2^-24: the whole part is the exponent of a likelihood.

// Whole part where there is no bin: far below any sum, and no sum of it and spikes overflows.
const OUTSIDE: i32 = -1073741824;
const SILENT: u32 = 0x80000000u;
// spikes after which fractions are carried, lest they overflow
const CARRY: u32 = 64u;

var<workgroup> partial: array<vec2i, WORKGROUP>;

struct Sums {
  whole: vec4i,
  // in 2^-24, from 0 to 1
  fraction: vec4i,
}

fn carried(sums: Sums) -> Sums {
  return Sums(sums.whole + (sums.fraction >> vec4u(24u)), sums.fraction & vec4i(FRACTION));
}

fn larger(a: vec2i, b: vec2i) -> vec2i {
  return select(a, b, b.x > a.x || (b.x == a.x && b.y > a.y));
}

// The largest sum of a row, for every thread. That of no spikes is centred: its largest is 0.
fn highest_sum(lane: u32, first_spike: u32, end_spike: u32) -> vec2i {
  var highest = vec2i(OUTSIDE, 0);
  if (first_spike == end_spike) {
    highest = vec2i();
  }
  for (var cell = lane; cell < CELLS && first_spike < end_spike; cell += WORKGROUP) {
    let sums = sums_of(cell, first_spike, end_spike);
    for (var i = 0u; i < 4u; i++) {
      highest = larger(highest, vec2i(sums.whole[i], sums.fraction[i]));
    }
  }
  partial[lane] = highest;
  workgroupBarrier();
  for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
    if (lane < width) {
      partial[lane] = larger(partial[lane], partial[lane + width]);
    }
    workgroupBarrier();
  }
  return partial[0];
}

// Likelihood of a cell, of which the row's largest sum is `highest`.
fn power_at(cell: u32, first_spike: u32, end_spike: u32, highest: vec2i) -> Power {
  let sums = sums_of(cell, first_spike, end_spike);
  // a fraction that is borrowed from
  let fraction = vec4i(highest.y) - sums.fraction;
  let below = vec4i(highest.x) - sums.whole + (fraction >> vec4u(24u));
  return power_of_two(below, fraction & vec4i(FRACTION));
}
