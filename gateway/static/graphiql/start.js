const example = `# The jobs of every group, and the edges on which they ran or run.
query Jobs {
  root {
    config {
      jobGroups(first: 10) {
        edges {
          node {
            name
            jobs(first: 10) {
              edges {
                node {
                  name
                  status { phase percentCompleted outputs }
                  executions { site edge chunks percent }
                }
              }
              pageInfo { hasNextPage endCursor }
            }
          }
        }
      }
    }
  }
}
`;

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: "/graphql" }),
    defaultQuery: example,
    shouldPersistHeaders: false,
  }),
);
