import "vitest";

declare module "vitest" {
  export interface ProvidedContext {
    /** Folder of shared recordings and golden results, or "". */
    sharedData: string;
    /** Where this runtime's recorded numbers go. */
    resultsFolder: string;
    /** "quick" or "all": see tier.ts. */
    tier: string;
    /** Runtimes that take part in the run. */
    runtimes: string[];
  }
}
