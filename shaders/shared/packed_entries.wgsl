// Entries of rows that are mostly zero. Appended to kernels that bind `entries` and have `override FORM`. FORM 0: gene + 65536 *
// count. FORM 1: gene, then count. FORM 2: gene, then the bits of an f32.

fn value_of(entry: u32) -> f32 {
  if (FORM == 0u) {
    return f32(entries[entry] >> 16u);
  }
  let bits = entries[2u * entry + 1u];
  if (FORM == 1u) {
    return f32(bits);
  }
  return bitcast<f32>(bits);
}

fn gene_of(entry: u32) -> u32 {
  if (FORM == 0u) {
    return entries[entry] & 0xffffu;
  }
  return entries[2u * entry];
}
