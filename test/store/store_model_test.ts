import { openStore } from "../../src/store/open_store.ts";
import { describeStoreModel } from "./store_model.ts";

let opened = 0;

describeStoreModel("memory", () => openStore(`memory:store_model_test/${opened++}`));
