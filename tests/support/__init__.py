"""What tests share: builders of keys, transactions and blocks."""
