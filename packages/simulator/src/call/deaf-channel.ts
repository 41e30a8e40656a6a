// A call whose data channel never opens: the answer accepts it, and nobody is there. Sound goes its way.

/** What is answered in place of an offer, and what that answer becomes. */
export interface DeafChannel {
  offer: string;
  restore(answer: string): string;
}

/** Takes the line of the data channels out of an offer, and puts one that looks accepted into the answer. */
export function deafChannel(offer: string): DeafChannel {
  const [head = '', ...sections] = offer.split(/(?=^m=)/mu);
  const at = sections.findIndex((section) => section.startsWith('m=application'));
  const mid = /^a=mid:(\S+)/mu.exec(sections[at] ?? '')?.[1];
  if (mid === undefined) return { offer, restore: (answer) => answer };
  const bundle = (text: string, change: (mids: string[]) => string[]) =>
    text.replace(/^(a=group:BUNDLE) (.*?)\r?$/mu, (_, name: string, mids: string) => {
      return `${name} ${change(mids.split(' ')).join(' ')}\r`;
    });
  return {
    offer: bundle(head, (mids) => mids.filter((one) => one !== mid)) + sections.filter((_, n) => n !== at).join(''),
    restore: (answer) => {
      const [top = '', ...answered] = answer.split(/(?=^m=)/mu);
      // The transport is the one of the sound.
      const transport = answer.match(/^a=(?:ice-ufrag|ice-pwd|fingerprint|setup):.*$/gmu) ?? [];
      const lines = [
        'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
        'c=IN IP4 0.0.0.0',
        ...new Set(transport.map((line) => line.trimEnd())),
        `a=mid:${mid}`,
        'a=sctp-port:5000',
        'a=max-message-size:262144',
      ];
      answered.splice(at, 0, `${lines.join('\r\n')}\r\n`);
      return bundle(top, (mids) => mids.toSpliced(at, 0, mid)) + answered.join('');
    },
  };
}
