// Pools tokens of samples, channel by channel: sums, maxima, maxima of moving averages.
//
// POOL   0: sums of detected tokens, in two parts
//        1: maxima of detected tokens
//        2: maxima over detected tokens of s = (1 - ALPHA) s + ALPHA x, which others leave as it is
//        3: maxima of the means of detected tokens within WINDOW tokens, that end at any token or, with
//           ENDS_DETECTED, at a detected one
// FORMAT 0: f32; 1: half floats; 2: brain floats; halves two a word, the first in the lower half
//
// params           tokens [first_token, end_token) of the tile; tokens of `tokens` before the tile
// segments         [segments] (first token in the tile, end, entry of `pooled` * 64 + place of that token in
//                  its block, tokens of the sample before the tile * 2 + whether it begins in the tile) u32
// detected         [before + tile] u32, 0 or 1
// tokens           [before + tile, HIDDEN] f32, or halves
// pooled           [entries, 2, HIDDEN] u32: bits of two sums to be added; a maximum's key and, of POOL 2, s; key
//                  0 where no token was detected. What a tile ends within goes on there
// faults           NaN, infinities, and the first token of each: tokens that are detected alone
//
// A thread owns CHANNELS channels of a sample, 4 where HIDDEN is a multiple of 4 and otherwise 1, and takes its
// tokens one after the other, sums in blocks of 64 tokens of the sample, so that nothing depends on where tiles
// and dispatches begin. Infinity is no number here: maxima are taken of keys, by integers.
// f64 twin: test/reference/pool_tokens.ts.

override HIDDEN: u32;
override CHANNELS: u32;
override FORMAT: u32;
override POOL: u32;
override WINDOW: u32;
override ENDS_DETECTED: u32;
override ALPHA: f32;

struct Params {
  first_token: u32,
  end_token: u32,
  before: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> segments: array<vec4u>;
@group(0) @binding(2) var<storage, read> detected: array<u32>;
@group(0) @binding(3) var<storage, read> tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> pooled: array<u32>;
@group(0) @binding(5) var<storage, read_write> faults: array<atomic<u32>, 4>;

const BLOCK = 64u;

fn widen_halves(halves: vec4u) -> vec4u {
  let magnitude = halves & vec4u(0x7fffu);
  let normal = (magnitude << vec4u(13u)) + vec4u(112u << 23u);
  // below 2^-14 there is no implied bit; as a count of 2^-24 it is exact, and no small f32
  let small = bitcast<vec4u>(vec4f(magnitude) * 5.9604644775390625e-8);
  let finite = select(normal, small, magnitude < vec4u(0x400u));
  let widest = vec4u(0x7f800000u) | (magnitude << vec4u(13u));
  return ((halves & vec4u(0x8000u)) << vec4u(16u)) | select(finite, widest, magnitude >= vec4u(0x7c00u));
}

// Channels of a token counted from the first of `tokens`, as bits of f32.
fn bits_of(token: u32, channel: u32) -> vec4u {
  let element = token * HIDDEN + channel;
  if (FORMAT == 0u) {
    if (CHANNELS == 1u) {
      return vec4u(tokens[element], 0u, 0u, 0u);
    }
    return vec4u(tokens[element], tokens[element + 1u], tokens[element + 2u], tokens[element + 3u]);
  }
  var halves = vec4u();
  if (CHANNELS == 1u) {
    halves.x = (tokens[element / 2u] >> (16u * (element & 1u))) & 0xffffu;
  } else {
    let words = vec2u(tokens[element / 2u], tokens[element / 2u + 1u]);
    halves = vec4u(words.x & 0xffffu, words.x >> 16u, words.y & 0xffffu, words.y >> 16u);
  }
  if (FORMAT == 1u) {
    return widen_halves(halves);
  }
  return halves << vec4u(16u);
}

// Larger for larger numbers, and 0 for none.
fn key_of(bits: vec4u) -> vec4u {
  return select(bits | vec4u(0x80000000u), ~bits, bits >= vec4u(0x80000000u));
}

// Notes which of some bits are NaN or infinite.
fn note_faults(magnitude: vec4u, token: u32) {
  for (var i = 0u; i < CHANNELS; i++) {
    if (magnitude[i] >= 0x7f800000u) {
      let kind = select(0u, 1u, magnitude[i] == 0x7f800000u);
      atomicAdd(&faults[kind], 1u);
      atomicMin(&faults[2u + kind], token);
    }
  }
}

// Bits of numbers that are finite; 0 in place of others.
fn finite_bits(bits: vec4u) -> vec4u {
  return select(vec4u(), bits, (bits & vec4u(0x7fffffffu)) < vec4u(0x7f800000u));
}

fn load_words(at: u32) -> vec4u {
  if (CHANNELS == 1u) {
    return vec4u(pooled[at], 0u, 0u, 0u);
  }
  return vec4u(pooled[at], pooled[at + 1u], pooled[at + 2u], pooled[at + 3u]);
}

fn store_words(at: u32, words: vec4u) {
  for (var i = 0u; i < CHANNELS; i++) {
    pooled[at + i] = words[i];
  }
}

@compute @workgroup_size(64)
fn pool_tokens(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let channel = CHANNELS * (64u * group.x + lane);
  let segment = segments[group.y];
  let first = max(segment.x, params.first_token);
  let end = min(segment.y, params.end_token);
  if (channel >= HIDDEN || first >= end) {
    return;
  }
  let out = segment.z / BLOCK * 2u * HIDDEN + channel;
  let begins = (segment.w & 1u) == 1u && first == segment.x;
  // sums of whole blocks, or keys; the sum of the block that goes on, or averages
  var keys = vec4u();
  var sums = vec4f();
  if (!begins) {
    keys = load_words(out);
    sums = bitcast<vec4f>(load_words(out + HIDDEN));
  }
  var place = segment.z % BLOCK + first - segment.x;
  for (var token = params.before + first; token < params.before + end; token++) {
    let is_detected = detected[token] == 1u;
    if (is_detected) {
      let bits = bits_of(token, channel);
      let magnitude = bits & vec4u(0x7fffffffu);
      if (any(magnitude >= vec4u(0x7f800000u))) {
        note_faults(magnitude, token - params.before);
      }
      if (POOL == 0u) {
        sums += bitcast<vec4f>(finite_bits(bits));
      } else if (POOL == 1u) {
        keys = max(keys, select(vec4u(), key_of(bits), magnitude <= vec4u(0x7f800000u)));
      } else if (POOL == 2u) {
        sums = (1.0 - ALPHA) * sums + ALPHA * bitcast<vec4f>(finite_bits(bits));
        keys = max(keys, key_of(bitcast<vec4u>(sums)));
      }
    }
    if (POOL == 3u && (is_detected || ENDS_DETECTED == 0u)) {
      // as many tokens of the sample as there are before the first one of the segment
      let lowest = params.before + segment.x - segment.w / 2u;
      var within = vec4f();
      var count = 0u;
      for (var other = max(lowest, token + 1u - min(WINDOW, token + 1u)); other <= token; other++) {
        if (detected[other] == 1u) {
          within += bitcast<vec4f>(finite_bits(bits_of(other, channel)));
          count++;
        }
      }
      if (count > 0u) {
        keys = max(keys, key_of(bitcast<vec4u>(within / f32(count))));
      }
    }
    place++;
    if (POOL == 0u && place % BLOCK == 0u) {
      keys = bitcast<vec4u>(bitcast<vec4f>(keys) + sums);
      sums = vec4f();
    }
  }
  store_words(out, keys);
  store_words(out + HIDDEN, bitcast<vec4u>(sums));
}
