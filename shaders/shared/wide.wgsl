// Probabilities from 1 down to 2^-8191, four at a time, each in 32 bits with an exponent of its own.
//
// f32 ends at 2^-126. A recording that rules a place out for a while and then comes back to it needs
// what is left there, however little that is: relative to the rest it may be e^-1000. A u32 is
//
//   0                  zero
//   top bit clear      the bits of f32(p * 2^100); p is at least 2^-128
//   top bit set        13 bits 8191 - depth, then 18 bits of mantissa: p = (1 + mantissa / 2^18) / 2^depth
//
// Numbers that matter now keep all of f32's digits, the others 5. Levels are runs of 128 binades: level k
// holds 2^-(128 k + 127) to 2^-(128 k), and is summed in f32 as p * 2^(100 + 128 k), so that weights down
// to 2^-60 lose nothing. Host twin: src/math/wide.ts. Appended to the kernels that use it.
//
// What only deep numbers need stands in loops of its own, over no cells in most rows: SwiftShader runs both
// sides of every if, and the first turn of every loop.

// What stands for the exponent of zero, and of anything it is multiplied with.
const WIDE_ZERO: i32 = -1048576;
// Exponents of products of two numbers stay above it, those with a zero below.
const WIDE_LEAST: i32 = -65536;
const WIDE_DEEP: u32 = 0x80000000u;
const WIDE_ONE: u32 = 0x71800000u;
// What stands for the least number with its top bit clear.
const WIDE_NEAR: f32 = 3.7252903e-9;

struct WideParts {
  // in [1, 2), of zero too
  mantissa: vec4f,
  exponent: vec4i,
}

fn wide_exponents(wide: vec4u) -> vec4i {
  let deep = wide >= vec4u(WIDE_DEEP);
  let exponent = select(
    vec4i(wide >> vec4u(23u)) - 227,
    vec4i((wide >> vec4u(18u)) & vec4u(0x1fffu)) - 8191,
    deep,
  );
  return select(exponent, vec4i(WIDE_ZERO), wide == vec4u());
}

fn wide_parts(wide: vec4u) -> WideParts {
  let deep = wide >= vec4u(WIDE_DEEP);
  let bits = select(wide & vec4u(0x7fffffu), (wide & vec4u(0x3ffffu)) << vec4u(5u), deep);
  return WideParts(bitcast<vec4f>(bits | vec4u(0x3f800000u)), wide_exponents(wide));
}

// value * 2^exponent, for normal values or 0. Zero below 2^-8191.
fn wide_of(value: vec4f, exponent: vec4i) -> vec4u {
  let bits = bitcast<vec4u>(value);
  let power = vec4i(bits >> vec4u(23u)) - 127 + exponent;
  let mantissa = bits & vec4u(0x7fffffu);
  let near = (vec4u(power + 227) << vec4u(23u)) | mantissa;
  let deep = (vec4u(min(power, vec4i(-128)) + 8191) << vec4u(18u)) |
    min((mantissa + 16u) >> vec4u(5u), vec4u(0x3ffffu)) | vec4u(WIDE_DEEP);
  let nothing = (value == vec4f()) | (power < vec4i(-8191));
  return select(select(near, deep, power < vec4i(-128)), vec4u(), nothing);
}

// 2^power for powers up to 127; 0 below -126.
fn two_to(power: i32) -> f32 {
  return bitcast<f32>((clamp(power, -127, 127) + 127) << 23u);
}

// value * 2^power, likewise.
fn scaled(value: vec4f, power: vec4i) -> vec4f {
  return value * bitcast<vec4f>((clamp(power, vec4i(-127), vec4i(127)) + 127) << vec4u(23u));
}

// A number as f32, 0 below 2^-126.
fn wide_linear(wide: u32) -> f32 {
  // as deep numbers are negative here
  let value = bitcast<f32>(wide);
  return select(0.0, value * 0x1p-100f, value >= 0x1p-26f);
}

// p * 2^100 for the numbers of level 0; 0 for those of others, which have the sign bit and never the
// exponent of a NaN.
fn near_value(wide: vec4u) -> vec4f {
  return max(bitcast<vec4f>(wide), vec4f());
}

// p * 2^50 likewise, so that a product of two has the scale of one. Exponents are moved by integers: compilers
// may put two factors of 2^-50 together, and what is left then overflows.
fn half_scaled(wide: vec4u) -> vec4f {
  let bits = bitcast<vec4u>(near_value(wide));
  // negative where it was 0
  return max(bitcast<vec4f>(bits - (50u << 23u)), vec4f());
}

// Levels of four numbers.
fn wide_levels(wide: vec4u) -> vec4u {
  let depth = 8191u - ((wide >> vec4u(18u)) & vec4u(0x1fffu));
  return select(vec4u(), depth >> vec4u(7u), wide >= vec4u(WIDE_DEEP));
}

// How many levels numbers have that are not below 2^exponent.
fn levels_down_to(exponent: i32) -> u32 {
  return select(1u, 1u + (u32(min(-exponent, 8191)) >> 7u), exponent < -128);
}

// The numbers of a level from 1 on, times 2^(100 + 128 level); 0 for those of others.
fn deep_value(wide: vec4u, level: u32) -> vec4f {
  let depth = 8191u - ((wide >> vec4u(18u)) & vec4u(0x1fffu));
  let own = (wide >= vec4u(WIDE_DEEP)) & ((depth >> vec4u(7u)) == vec4u(level));
  let exponent = (227u + 128u * level - depth) << vec4u(23u);
  let bits = exponent | ((wide & vec4u(0x3ffffu)) << vec4u(5u));
  return bitcast<vec4f>(select(vec4u(), bits, own));
}

// The numbers of a level, times 2^(100 + 128 level); 0 for those of others.
fn wide_at_level(wide: vec4u, level: u32) -> vec4f {
  return select(deep_value(wide, level), near_value(wide), level == 0u);
}

// What was summed at a level, as a number again.
fn wide_from_level(value: vec4f, level: u32) -> vec4u {
  return wide_of(value, vec4i(-100 - 128 * i32(level)));
}

// Whether f32 times 2^100 are no wide numbers yet, being too small for it.
fn is_small(value: vec4f) -> vec4<bool> {
  return (value < vec4f(WIDE_NEAR)) & (value != vec4f());
}

// The deepest level of four numbers.
fn wide_deepest(wide: vec4u) -> u32 {
  let level = wide_levels(wide);
  return max(max(level.x, level.y), max(level.z, level.w));
}

fn wide_sum(a: vec4u, b: vec4u) -> vec4u {
  let one = wide_parts(a);
  let other = wide_parts(b);
  let top = max(one.exponent, other.exponent);
  let sum = scaled(one.mantissa, one.exponent - top) + scaled(other.mantissa, other.exponent - top);
  return wide_of(sum, top);
}

// Whether numbers of a level, fewer than 2^30 and each times at most 1, could change a digit of their sum
// with what those above it made.
fn is_open(product: vec4u, level: u32) -> bool {
  return any(wide_exponents(product) < vec4i(64 - 128 * i32(level)));
}

fn highest_of(exponent: vec4i) -> i32 {
  return max(max(exponent.x, exponent.y), max(exponent.z, exponent.w));
}

fn lowest_of(exponent: vec4i) -> i32 {
  return min(min(exponent.x, exponent.y), min(exponent.z, exponent.w));
}

// The same for one number: a fourth of the code where a kernel has to be short, to compile soon.
fn exponent_of(wide: u32) -> i32 {
  let deep = wide >= WIDE_DEEP;
  let exponent = select(i32(wide >> 23u) - 227, i32((wide >> 18u) & 0x1fffu) - 8191, deep);
  return select(exponent, WIDE_ZERO, wide == 0u);
}

fn mantissa_of(wide: u32) -> f32 {
  let bits = select(wide & 0x7fffffu, (wide & 0x3ffffu) << 5u, wide >= WIDE_DEEP);
  return bitcast<f32>(bits | 0x3f800000u);
}

fn number_of(value: f32, exponent: i32) -> u32 {
  let bits = bitcast<u32>(value);
  let power = i32(bits >> 23u) - 127 + exponent;
  let mantissa = bits & 0x7fffffu;
  let near = (u32(power + 227) << 23u) | mantissa;
  let deep = (u32(min(power, -128) + 8191) << 18u) | min((mantissa + 16u) >> 5u, 0x3ffffu) | WIDE_DEEP;
  let nothing = value == 0.0 || power < -8191;
  return select(select(near, deep, power < -128), 0u, nothing);
}

fn level_of(wide: u32) -> u32 {
  return select(0u, (8191u - ((wide >> 18u) & 0x1fffu)) >> 7u, wide >= WIDE_DEEP);
}

fn value_at_level(wide: u32, level: u32) -> f32 {
  let value = mantissa_of(wide) * two_to(exponent_of(wide) + 100 + 128 * i32(level));
  return select(0.0, value, wide != 0u && level_of(wide) == level);
}

fn sum_of(a: u32, b: u32) -> u32 {
  let top = max(exponent_of(a), exponent_of(b));
  let sum = mantissa_of(a) * two_to(exponent_of(a) - top) +
    mantissa_of(b) * two_to(exponent_of(b) - top);
  return number_of(sum, top);
}
