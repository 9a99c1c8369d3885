// Prints the licences of all packages that may be in the bundle.
const { readdirSync, readFileSync, existsSync } = require("node:fs");
const { join } = require("node:path");

const locked = JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
for (const [directory, told] of Object.entries(locked).sort()) {
  if (!directory || told.dev || !existsSync(directory)) {
    continue;
  }
  const { name, version, license } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
  console.log(`${"=".repeat(100)}\n${name} ${version}: ${license}\n`);
  for (const file of readdirSync(directory).filter((found) => /^(licen[cs]e|notice|copying)/i.test(found))) {
    console.log(readFileSync(join(directory, file), "utf8").trim() + "\n");
  }
}
