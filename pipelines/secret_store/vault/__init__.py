"""HashiCorp Vault as a place of secrets; the library for it loads when Vault is first asked."""

from pipelines.secret_store.vault.provider import VaultProvider

__all__ = ["VaultProvider"]
