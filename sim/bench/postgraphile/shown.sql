-- What PostGraphile makes its schema of: the jobs of a group in the order of their paths, and each one's executions by edge,
-- from the tables, links and indexes that the gateway reads. Functions in SQL are inlined, so each page is one statement.
CREATE SCHEMA shown;

CREATE VIEW shown.jobs AS
SELECT path, uid, regexp_replace(path, '^.*/', '') AS name, created_at,
  coalesce(nullif(phase, ''), 'pending') AS phase,
  coalesce((status ->> 'percentCompleted')::double precision, 0) AS percent_completed
FROM public.nodes WHERE kind = 'Job';
COMMENT ON VIEW shown.jobs IS '@primaryKey path';

CREATE FUNCTION shown.jobs_of(jobs_below text) RETURNS SETOF shown.jobs LANGUAGE sql STABLE AS $$
  SELECT * FROM shown.jobs WHERE path > jobs_below || '/' COLLATE "C" AND path < jobs_below || '0' COLLATE "C" ORDER BY path
$$;

CREATE TYPE shown.execution AS (site text, edge text, chunks bigint, succeeded bigint, percent double precision);

CREATE FUNCTION shown.jobs_executions(job shown.jobs) RETURNS SETOF shown.execution LANGUAGE sql STABLE AS $$
  SELECT split_part(place, '/', 4), split_part(place, '/', 6), sum(chunks)::bigint, sum(succeeded)::bigint,
    coalesce(round(sum(progress) / (10.0 * nullif(sum(chunks), 0)), 1), 0)::double precision
  FROM (
    SELECT regexp_replace(holder, '/[^/]+/[^/]+$', '') AS place, count(*) AS chunks,
      count(*) FILTER (WHERE phase = 'succeeded') AS succeeded, sum(progress) AS progress
    FROM public.ledger WHERE owner = job.uid GROUP BY 1
    UNION ALL
    SELECT regexp_replace(source, '/[^/]+/[^/]+$', ''), 0, 0, 0 FROM public.links WHERE target = job.uid AND name = 'job'
  ) AS found
  GROUP BY place ORDER BY place
$$;
