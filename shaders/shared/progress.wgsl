// How the training of a net goes, 8 words of `progress`: f32 bits of the sum of weighted validation losses and of the
// weights; those of the lowest loss so far; validations since that, validations, which was best; whether it is frozen.
// Appended to kernels that bind `progress`.

fn validation_loss(net: u32) -> f32 {
  return bitcast<f32>(progress[8u * net]) / max(bitcast<f32>(progress[8u * net + 1u]), 1e-30);
}

fn is_frozen(net: u32) -> bool {
  return progress[8u * net + 6u] != 0u;
}

// The first counts as lowest, and what has nothing to be judged by is always best.
fn is_better(net: u32) -> bool {
  if (progress[8u * net + 5u] == 0u || bitcast<f32>(progress[8u * net + 1u]) <= 0.0) {
    return true;
  }
  return validation_loss(net) < bitcast<f32>(progress[8u * net + 2u]);
}
