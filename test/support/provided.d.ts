import "vitest";

declare module "vitest" {
  export interface ProvidedContext {
    /** Folder of shared recordings and golden results, or "". */
    sharedData: string;
    /** Where this runtime's recorded numbers go. */
    resultsFolder: string;
  }
}
