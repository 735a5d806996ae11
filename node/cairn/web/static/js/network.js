// The network that the page's node is on, as the page tells it.

const { dataset } = document.getElementById("network");

export const network = {
  prefix: dataset.prefix,
  id: dataset.network,
  name: dataset.name,
  symbol: dataset.symbol,
  maxData: Number(dataset.maxData),
  minFee: BigInt(dataset.minFee),
  hasFaucet: "faucet" in dataset,
};
