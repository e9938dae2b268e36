//! The memory plan: where every activation tensor lies in one arena.
