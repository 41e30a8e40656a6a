// Each example is a program of its own: node dist/support.js
export type { Order } from './orders.ts';
