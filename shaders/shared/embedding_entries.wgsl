// What is added up for a row: rows of a table, each times a share and, where it is a perturbation, a function of its dose.
// Appended to net_embed.wgsl and net_embed_gradient.wgsl, which bind `parameters`, `entries` and `params`, and have `override DOSER`.

// kinds of entries
const NONE = 0u;
const PERTURBATION = 1u;

struct Entry {
  row: u32,
  share: f32,
  dose: f32,
  kind: u32,
}

struct Params {
  rows: u32,
  width: u32,
  y_rows: u32,
  first_row: u32,
  // of each row
  entries: u32,
  // elements: the table, and beta and bias of the doses, an element for each of its first rows
  table_at: u32,
  beta_at: u32,
  bias_at: u32,
  // rows of the table, of which `perturbations` have doses
  table_rows: u32,
  perturbations: u32,
  // bit k: whether entries of kind k count
  kinds: u32,
  adds: u32,
}

fn stride() -> u32 {
  return (params.width + 3u) / 4u * 4u;
}

fn counts(entry: Entry) -> bool {
  return entry.kind != NONE && ((params.kinds >> entry.kind) & 1u) == 1u;
}

// What a dose makes of its perturbation; DOSER 0: the dose itself, 1: sigmoid(beta dose + bias) - sigmoid(bias).
fn dosed(entry: Entry) -> f32 {
  if (entry.kind != PERTURBATION) {
    return 1.0;
  }
  if (DOSER == 0u) {
    return entry.dose;
  }
  let bias = parameters[params.bias_at + entry.row];
  return sigmoid(parameters[params.beta_at + entry.row] * entry.dose + bias) - sigmoid(bias);
}
