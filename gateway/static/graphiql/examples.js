// The explorer's tabs for whoever comes for the first time. Tests check that the schema answers each of them.
const examples = [
  {
    query: `# The jobs of every group, the newest first, and the edges on which they ran or run.
query Jobs {
  kinds {
    jobs(first: 20, orderBy: { by: createdAt, direction: descending }) {
      edges {
        node {
          path
          status { phase percentCompleted outputs }
          executions { site edge chunks percent }
        }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
`,
  },
  {
    query: `# Why is a job as it is? Which edges take nothing of it, and what happened to it?
query Why($job: String!) {
  node(path: $job) {
    ... on Job {
      status { phase conditions { type message } }
      explain { summary edges { reason edges example message } }
    }
  }
  history(path: $job, first: 10) {
    events { at op part actor cause }
  }
}
`,
    variables: `{ "job": "/config/job-groups/default/jobs/primes" }`,
  },
  {
    query: `# What was so then? A position of the log, or a time such as "2026-01-31T12:00:00Z".
query Then($moment: Moment!) {
  kinds {
    jobs(asOf: $moment, phase: "running") {
      totalCount
      edges { node { path createdAt status { percentCompleted } } }
    }
    edges(asOf: $moment) {
      edges { node { path status { phase } } }
    }
  }
}
`,
    variables: `{ "moment": 100 }`,
  },
  {
    query: `# The edges, what they can do, and what is reserved there.
query Edges {
  kinds {
    edges(first: 100, where: { status_phase: { eq: "online" } }) {
      totalCount
      edges { node { path spec { runtime capacity { cpu memoryBytes powerW } } status { phase } } }
    }
  }
}
`,
  },
  {
    query: `# A job in three chunks. Nothing is written before this is run.
mutation Submit($document: JSON!) {
  submitJob(document: $document) {
    job { path status { phase } }
    userErrors { pointer message }
  }
}
`,
    variables: `{ "document": { "chunks": 3, "steps": [{ "name": "run", "image": "busybox", "script": "echo hello" }] } }`,
  },
  {
    query: `# All jobs as they are, and then as they change.
subscription Watch {
  jobs {
    what
    node { path status { phase percentCompleted } }
    position
  }
}
`,
  },
];
