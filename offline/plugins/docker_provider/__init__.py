"""The fake docker provider: Container, Network, Volume and RemoteImage on a real Docker Engine."""
