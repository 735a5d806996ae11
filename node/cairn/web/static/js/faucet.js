// Offers the addresses of the keys that the wallet page keeps in this browser, if it keeps any.

const address = document.getElementById("address");
const offered = document.getElementById("own-addresses");

const keys = await import("./keystore.js")
  .then((module) => module.addresses?.() ?? [])
  .catch(() => []);
for (const each of keys) {
  const option = document.createElement("option");
  option.value = each;
  offered.append(option);
}
if (!address.value && keys.length === 1) address.value = keys[0];
