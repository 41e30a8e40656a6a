// The order book of the examples: small, and the same on every run.

export interface Order {
  order: string;
  item: string;
  status: 'packed' | 'shipped' | 'delivered';
  /** What the customer wants to hear. */
  note: string;
}

export const ORDERS: ReadonlyMap<string, Order> = new Map(
  [
    { order: '42', item: 'a walnut desk', status: 'packed', note: 'It ships on Friday.' },
    { order: '43', item: 'a reading lamp', status: 'shipped', note: 'It arrives tomorrow.' },
    { order: '44', item: 'two chairs', status: 'delivered', note: 'It was delivered on Monday.' },
  ].map((order) => [order.order, order as Order]),
);

/** One sentence about an order, or about there being none. */
export function sentence(number: string, order: Order | null): string {
  return order ? `Order ${number} is ${order.item}. ${order.note}` : `I cannot find an order ${number}.`;
}
