// The wallet page.

import { byId } from "./dom.js";
import { reloadKeys } from "./keychoice.js";
import { canSign } from "./keys.js";
import { startKeys, tellNoKeys } from "./wallet_keys.js";
import { startSending } from "./wallet_send.js";

if (canSign()) {
  byId("wallet").hidden = false;
  startKeys();
  startSending();
  await reloadKeys().catch(tellNoKeys);
  byId("wallet").dataset.ready = "yes";
} else {
  byId("insecure").hidden = false;
}
