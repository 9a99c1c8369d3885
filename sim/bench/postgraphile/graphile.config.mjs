// As its own documentation runs it, with what is not asked for left off: no explorer, no mutations' ids, no watching.
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";

export default {
  extends: [PostGraphileAmberPreset],
  pgServices: [makePgService({ connectionString: process.env.DATABASE_URL, schemas: ["shown"] })],
  grafserv: { graphiql: false, watch: false },
  grafast: { explain: false },
};
