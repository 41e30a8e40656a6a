"""OpenAI Realtime (GA) over WebSocket, and whatever speaks the same protocol."""
