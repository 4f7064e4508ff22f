"""How the package meets people and the Hub: arguments, terminal, pictures, files of strangers, the network."""
