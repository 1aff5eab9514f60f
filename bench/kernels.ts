/** The benches of all kernels. */

import { densifyRowsBench } from "./densify_rows_bench.ts";
import { dispersionGradientBench } from "./dispersion_gradient_bench.ts";
import { encodeRowsBench } from "./encode_rows_bench.ts";
import { expectedTransitionsBench } from "./expected_transitions_bench.ts";
import { findPeaksBench } from "./find_peaks_bench.ts";
import { gatherWindowsBench } from "./gather_windows_bench.ts";
import type { Bench } from "./harness.ts";
import { hmmFilterBench } from "./hmm_filter_bench.ts";
import { hmmRatioBench } from "./hmm_ratio_bench.ts";
import { hmmRescaleBench } from "./hmm_rescale_bench.ts";
import { hmmSmoothBench } from "./hmm_smooth_bench.ts";
import { hmmWeighBench } from "./hmm_weigh_bench.ts";
import { logisticResidualBench } from "./logistic_residual_bench.ts";
import { markIntensityBench } from "./mark_intensity_bench.ts";
import { markedRowsBench } from "./marked_rows_bench.ts";
import { multiplyDenseBench } from "./multiply_dense_bench.ts";
import { multiplySparseBench } from "./multiply_sparse_bench.ts";
import { netProductBenches } from "./net_products_bench.ts";
import { nbLikelihoodBench } from "./nb_likelihood_bench.ts";
import { packRowsBench } from "./pack_rows_bench.ts";
import { poissonLikelihoodBench } from "./poisson_likelihood_bench.ts";
import { poolTokensBench } from "./pool_tokens_bench.ts";
import { projectRowsBench } from "./project_rows_bench.ts";
import { samplePathsBench } from "./sample_paths_bench.ts";
import { secondMomentsBench } from "./second_moments_bench.ts";
import { stateRowsBench } from "./state_rows_bench.ts";
import { sumBlocksBench } from "./sum_blocks_bench.ts";
import { sumStatesBench } from "./sum_states_bench.ts";
import { summarizeRowsBench } from "./summarize_rows_bench.ts";
import { viterbiStepBench } from "./viterbi_step_bench.ts";
import { viterbiTraceBench } from "./viterbi_trace_bench.ts";
import { viterbiWeighBench } from "./viterbi_weigh_bench.ts";
import { vqAssignBench } from "./vq_assign_bench.ts";
import { vqPickBench } from "./vq_pick_bench.ts";
import { vqSeedBench } from "./vq_seed_bench.ts";
import { vqSumsBench } from "./vq_sums_bench.ts";
import { weightedSumsBench } from "./weighted_sums_bench.ts";

export const kernelBenches: readonly Bench[] = [
  hmmFilterBench,
  hmmSmoothBench,
  hmmWeighBench,
  hmmRatioBench,
  hmmRescaleBench,
  poissonLikelihoodBench,
  markIntensityBench,
  markedRowsBench,
  viterbiStepBench,
  viterbiTraceBench,
  viterbiWeighBench,
  expectedTransitionsBench,
  packRowsBench,
  densifyRowsBench,
  dispersionGradientBench,
  nbLikelihoodBench,
  findPeaksBench,
  encodeRowsBench,
  summarizeRowsBench,
  sumStatesBench,
  gatherWindowsBench,
  poolTokensBench,
  multiplyDenseBench,
  sumBlocksBench,
  multiplySparseBench,
  vqAssignBench,
  vqPickBench,
  vqSumsBench,
  vqSeedBench,
  secondMomentsBench,
  stateRowsBench,
  projectRowsBench,
  samplePathsBench,
  ...netProductBenches,
  weightedSumsBench,
  logisticResidualBench,
];
