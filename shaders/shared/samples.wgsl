// The sample that a row belongs to. Appended to kernels that bind `starts` `[tile samples + 1]`, the row of the
// tile at which each sample begins.

// The last sample of the batch that begins at or before a row of the tile and is not empty.
fn sample_of(row: u32, first_sample: u32, samples: u32) -> u32 {
  var low = 0u;
  var high = samples;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (starts[first_sample + middle] <= row) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}
