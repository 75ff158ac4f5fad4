// Requests of the player, sent again while the server or the store cannot be reached.

const AWAY = [0, 502, 503, 504]; // statuses of a server or store that cannot be reached
const RETRY_MS = 2000;

export class Reconnection {
  /**
   * @param {AbortSignal} signal
   * @param {(waiting: boolean, status: number) => void} onchange gets the status of the failed request, 0 without a response
   */
  constructor(signal, onchange) {
    this.signal = signal;
    this.onchange = onchange;
    this.waiting = false;
    this.absences = 0; // of the server or the store
  }

  /**
   * Send a request until the server and the store can be reached. Raises other errors.
   *
   * @template Reply
   * @param {() => Promise<Reply>} send
   */
  async whenReadable(send) {
    for (;;) {
      try {
        const reply = await send();
        this.change(false, 0);
        return reply;
      } catch (error) {
        const away = AWAY.includes(error.status) && !this.signal.aborted;
        this.change(away, error.status);
        if (!away) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /**
   * @param {boolean} waiting
   * @param {number} status
   */
  change(waiting, status) {
    if (waiting === this.waiting) return;
    this.waiting = waiting;
    if (waiting) this.absences++;
    this.onchange(waiting, status);
  }
}
