"""From stored runs to tables; nothing here trains, or imports what does."""
