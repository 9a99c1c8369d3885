const socket = new URL("/graphql", window.location.href);
socket.protocol = socket.protocol.replace("http", "ws");

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: "/graphql", subscriptionUrl: socket.href }),
    defaultTabs: examples,
    shouldPersistHeaders: false,
  }),
);
